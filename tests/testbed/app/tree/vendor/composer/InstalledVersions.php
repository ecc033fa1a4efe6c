<?php

namespace Composer;

// Stands in for Composer's class: Symfony asks it which packages are there.
final class InstalledVersions
{
    public static function isInstalled(string $package, bool $includeDevRequirements = true): bool
    {
        return false;
    }

    public static function getRootPackage(): array
    {
        return ['name' => 'chamilo/chamilo-lms', 'install_path' => dirname(__DIR__, 2)];
    }
}
