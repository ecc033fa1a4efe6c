<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Security\Upload;

use Chamilo\CoreBundle\Settings\SettingsManager;

/**
 * What becomes of the name of an uploaded file: first PHP names turn into .phps, then the last extension is looked up.
 */
final class UploadFilenamePolicy
{
    private const ALWAYS_ALLOWED = ['png', 'jpg', 'jpeg', 'webp', 'gif', 'mp4', 'webm'];

    public function __construct(private readonly SettingsManager $settings)
    {
    }

    /**
     * @return string|null the name to store, null where the file is refused
     */
    public function filter(string $name): ?string
    {
        $name = preg_replace('/[\x00-\x1F\x7F]/', '', trim($name));
        $name = str_replace(['/', '\\'], '-', $name);
        $name = preg_replace('/\.(phar|phtml|php).*$/i', '.phps', '' === $name ? 'file' : $name);
        $name = str_ireplace('.htaccess', 'htaccess.txt', $name);

        $dot = strrpos($name, '.');
        if (false === $dot || $dot === \strlen($name) - 1) {
            return $name;
        }
        if ($this->isAllowed(strtolower(substr($name, $dot + 1)))) {
            return $name;
        }
        if ('true' === strtolower($this->setting('skip'))) {
            return null;
        }
        $suffix = preg_replace('/[^A-Za-z0-9_-]/', '', $this->setting('replace_by'));

        return substr($name, 0, $dot + 1).'REPLACED_'.('' === $suffix ? 'txt' : $suffix);
    }

    private function isAllowed(string $extension): bool
    {
        if ('whitelist' === strtolower($this->setting('list_type'))) {
            return \in_array($extension, self::ALWAYS_ALLOWED, true) || \in_array($extension, $this->list('whitelist'), true);
        }

        return !\in_array($extension, $this->list('blacklist'), true);
    }

    private function list(string $which): array
    {
        return array_map('trim', explode(';', strtolower($this->setting($which))));
    }

    private function setting(string $which): string
    {
        return (string) $this->settings->getSetting('document.upload_extensions_'.$which, true);
    }
}
