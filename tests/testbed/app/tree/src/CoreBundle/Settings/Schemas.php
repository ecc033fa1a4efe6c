<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Settings;

/**
 * The defaults of the settings that this application reads, by category.
 */
final class Schemas
{
    public const DEFAULTS = [
        'platform' => [
            'site_name' => 'Chamilo',
            'institution' => 'Chamilo School',
            'institution_url' => 'https://chamilo.org',
            'server_type' => 'prod',
            'chamilo_database_version' => '2.0.0',
            'use_custom_pages' => 'false',
            'timezone' => 'UTC',
            'cookie_warning' => 'false',
        ],
        'security' => [
            'login_max_attempt_before_blocking_account' => '0',
            'allow_captcha' => 'false',
            'captcha_number_mistakes_to_block_account' => '',
            'captcha_time_to_block' => '',
            'password_requirements' => '',
            'check_password' => 'false',
            'allow_strength_pass_checker' => 'true',
            'password_rotation_days' => '0',
            'force_renew_password_at_first_login' => 'false',
            'admins_can_set_users_pass' => '',
            'user_reset_password' => 'false',
            'user_reset_password_token_limit' => '3600',
            'prevent_multiple_simultaneous_login' => 'false',
            'security_block_inactive_users_immediately' => 'false',
            '2fa_enable' => 'false',
            'security_session_cookie_samesite_none' => 'false',
            'security_strict_transport' => 'strict-transport-security: max-age=31536000; includeSubDomains',
            'security_content_policy' => '',
            'security_content_policy_report_only' => '',
            'security_public_key_pins' => '',
            'security_public_key_pins_report_only' => '',
            'security_x_frame_options' => 'SAMEORIGIN',
            'security_xss_protection' => '1; mode=block',
            'security_x_content_type_options' => 'nosniff',
            'security_referrer_policy' => 'origin-when-cross-origin',
            'anonymous_autoprovisioning' => 'false',
            'access_to_personal_file_for_all' => 'false',
            'hide_breadcrumb_if_not_allowed' => 'false',
            'filter_terms' => '',
            'proxy_settings' => '',
            'allow_online_users_by_status' => '',
        ],
        'document' => [
            'upload_extensions_list_type' => 'blacklist',
            'upload_extensions_blacklist' => '',
            'upload_extensions_whitelist' => 'htm;html;jpg;jpeg;gif;png;swf;avi;mpg;mpeg;mov;flv;doc;docx;xls;xlsx;ppt;pptx;odt;odp;ods;pdf;webm;oga;ogg;ogv;h264',
            'upload_extensions_skip' => 'true',
            'upload_extensions_replace_by' => 'dangerous',
            'permissions_for_new_directories' => '0770',
            'permissions_for_new_files' => '0660',
            'enable_x_sendfile_headers' => 'false',
        ],
        'lp' => ['allow_htaccess_import_from_scorm' => 'false'],
        'registration' => [
            'allow_registration' => 'false',
            'allow_registration_as_teacher' => 'false',
            'allow_lostpassword' => 'true',
            'platform_unsubscribe_allowed' => 'false',
        ],
        'webservice' => [
            'disable_webservices' => 'false',
            'webservice_enable_adminonly_api' => 'false',
            'allow_download_documents_by_api_key' => 'false',
        ],
        'display' => ['showonline' => 'world'],
        'admin' => ['max_anonymous_users' => '0', 'administrator_email' => 'admin@example.test'],
        'profile' => ['allow_users_to_change_email_with_no_password' => 'false', 'login_is_email' => 'false'],
        'mail' => ['mailer_dsn' => 'null://null', 'mailer_from_email' => ''],
    ];
}
