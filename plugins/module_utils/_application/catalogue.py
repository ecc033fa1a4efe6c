# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform settings of Chamilo 2 that matter to security: where each belongs, what it takes, what it starts with.

Taken from the documentation of Chamilo 2.0 to 3.0 and from its settings schemas. Facts only, no logic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# The validator of passwords reads each of these without a default: one that is missing breaks every change.
_PASSWORD = ("min.length", "min.lowercase", "min.uppercase", "min.numeric", "min.specials")
_IMAGES_AND_DOCUMENTS = (
    "htm;html;jpg;jpeg;gif;png;swf;avi;mpg;mpeg;mov;flv;doc;docx;xls;xlsx;ppt;pptx;odt;odp;ods;pdf;"
    "webm;oga;ogg;ogv;h264"
)


@dataclass(frozen=True)
class Setting:
    """One platform setting.

    ``type``: bool, int, list, json or text. ``choices``: all that a text may be. ``members``: the paths to the whole
    numbers that a JSON map must hold. ``since``: the first version that knows it; ``until``: the first that no longer
    does. ``at_once``: the application asks the database each time; others are kept in the sessions of the main portal
    until those end.
    """

    category: str
    variable: str
    type: str = "text"
    default: str = ""
    separator: str = ","
    choices: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    since: str = "2.0"
    until: str = ""
    secret: bool = False
    at_once: bool = False

    @property
    def key(self) -> str:
        return f"{self.category}.{self.variable}"

    @property
    def title(self) -> str:
        return self.variable.replace("_", " ").capitalize()


_ALL = (
    Setting("security", "login_max_attempt_before_blocking_account", "int", "0", at_once=True),
    Setting("security", "allow_captcha", "bool", "false", at_once=True),
    Setting("security", "captcha_number_mistakes_to_block_account", "int", at_once=True),
    Setting("security", "captcha_time_to_block", "int", at_once=True),
    Setting("security", "password_requirements", "json", members=_PASSWORD, at_once=True),
    Setting("security", "check_password", "bool", "false", at_once=True),
    Setting("security", "allow_strength_pass_checker", "bool", "true"),
    Setting("security", "password_rotation_days", "int", "0", at_once=True),
    Setting("security", "force_renew_password_at_first_login", "bool", "false", at_once=True),
    Setting("security", "admins_can_set_users_pass"),
    Setting("security", "user_reset_password", "bool", "false"),
    Setting("security", "user_reset_password_token_limit", "int", "3600"),
    Setting("security", "prevent_multiple_simultaneous_login", "bool", "false"),
    Setting("security", "security_block_inactive_users_immediately", "bool", "false"),
    Setting("security", "2fa_enable", "bool", "false"),
    Setting("security", "security_session_cookie_samesite_none", "bool", "false", at_once=True),
    Setting("security", "session_expiration_warning_enabled", "bool", "false", since="3.0"),
    Setting("security", "session_expiration_warning_seconds", "int", since="3.0"),
    Setting("security", "file_integrity_check_enabled", "bool", "false", since="2.1", until="3.0"),
    Setting("security", "file_integrity_notify_admins", since="2.1", until="3.0"),
    Setting("security", "file_integrity_check_notify_admins", since="3.0"),
    Setting("security", "mcp_enabled", "bool", "false", since="3.0"),
    Setting("security", "oauth_server_enabled", "bool", "false", since="3.0"),
    Setting("security", "external_api_enabled", "bool", "false", since="3.0"),
    Setting(
        "security",
        "security_strict_transport",
        default="strict-transport-security: max-age=31536000; includeSubDomains",
    ),
    Setting("security", "security_content_policy"),
    Setting("security", "security_content_policy_report_only"),
    Setting("security", "security_x_frame_options", default="SAMEORIGIN"),
    Setting("security", "security_x_content_type_options", default="nosniff"),
    Setting("security", "security_xss_protection", default="1; mode=block"),
    Setting("security", "security_referrer_policy", default="origin-when-cross-origin"),
    Setting("security", "security_public_key_pins"),
    Setting("security", "security_public_key_pins_report_only"),
    Setting("security", "anonymous_autoprovisioning", "bool", "false"),
    Setting("security", "access_to_personal_file_for_all", "bool", "false"),
    Setting("security", "hide_breadcrumb_if_not_allowed", "bool", "false"),
    # The address of a proxy may contain a password.
    Setting("security", "proxy_settings", secret=True),
    Setting(
        "document", "upload_extensions_list_type", default="blacklist", choices=("blacklist", "whitelist"), at_once=True
    ),
    Setting("document", "upload_extensions_blacklist", "list", separator=";", at_once=True),
    Setting("document", "upload_extensions_whitelist", "list", _IMAGES_AND_DOCUMENTS, separator=";", at_once=True),
    Setting("document", "upload_extensions_skip", "bool", "true", at_once=True),
    Setting("document", "upload_extensions_replace_by", default="dangerous", at_once=True),
    Setting("document", "permissions_for_new_directories", default="0770"),
    Setting("document", "permissions_for_new_files", default="0660"),
    Setting("document", "enable_x_sendfile_headers", "bool", "false"),
    Setting("lp", "allow_htaccess_import_from_scorm", "bool", "false"),
    # Its third value is spelled differently in different versions, so any text is taken.
    Setting("registration", "allow_registration", default="false"),
    Setting("registration", "allow_registration_as_teacher", "bool", "false"),
    Setting("registration", "allow_lostpassword", "bool", "true"),
    Setting("registration", "platform_unsubscribe_allowed", "bool", "false"),
    Setting("webservice", "disable_webservices", "bool", "false"),
    Setting("webservice", "webservice_enable_adminonly_api", "bool", "false"),
    Setting("webservice", "allow_download_documents_by_api_key", "bool", "false"),
    Setting("platform", "server_type", default="prod", choices=("prod", "validation", "test")),
    Setting("mail", "mailer_dsn", default="null://null", secret=True),
)

CATALOGUE: Mapping[str, Setting] = {setting.key: setting for setting in _ALL}
