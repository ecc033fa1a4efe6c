<?php

/**
 * A legacy page: prints the headers of the security_* settings, then the frame around the content.
 */
final class Template
{
    public function __construct(private readonly string $title)
    {
    }

    public function display(string $content, string $script = ''): void
    {
        $this->sendSecurityHeaders();
        header('Content-Type: text/html; charset=UTF-8');
        $site = htmlspecialchars((string) api_get_setting('platform.site_name'));
        $title = htmlspecialchars($this->title);
        echo <<<HTML
            <!DOCTYPE html>
            <html lang="en">
            <head><meta charset="utf-8"><title>{$title} - {$site}</title>
            <link rel="stylesheet" href="/build/app.css"><link rel="stylesheet" href="/themes/chamilo/colors.css"></head>
            <body class="legacy"><h1>{$title}</h1>
            {$content}
            <script src="/build/app.js"></script>
            {$script}
            </body></html>

            HTML;
    }

    private function sendSecurityHeaders(): void
    {
        $headers = [
            'security_strict_transport' => 'Strict-Transport-Security',
            'security_content_policy' => 'Content-Security-Policy',
            'security_content_policy_report_only' => 'Content-Security-Policy-Report-Only',
            'security_public_key_pins' => 'Public-Key-Pins',
            'security_public_key_pins_report_only' => 'Public-Key-Pins-Report-Only',
            'security_x_frame_options' => 'X-Frame-Options',
            'security_xss_protection' => 'X-XSS-Protection',
            'security_x_content_type_options' => 'X-Content-Type-Options',
            'security_referrer_policy' => 'Referrer-Policy',
        ];
        foreach ($headers as $setting => $header) {
            $value = (string) api_get_setting('security.'.$setting);
            if ('' !== $value) {
                header($header.': '.$value);
            }
        }
    }
}
