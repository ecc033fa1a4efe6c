<?php

// Stands in for Composer's: the folders under vendor/ are Debian's packages, laid out by namespace.
if (class_exists('Composer\InstalledVersions', false)) {
    return;
}

spl_autoload_register(static function (string $class): void {
    $roots = [
        'Chamilo\\' => dirname(__DIR__).'/src/',
        'Standin\\' => __DIR__.'/standin/',
        'Symfony\\' => __DIR__.'/Symfony/',
        'Doctrine\\' => __DIR__.'/Doctrine/',
        'Monolog\\' => __DIR__.'/Monolog/',
        'Psr\\' => __DIR__.'/Psr/',
        'Twig\\' => __DIR__.'/Twig/',
    ];
    foreach ($roots as $prefix => $folder) {
        if (str_starts_with($class, $prefix)) {
            $file = $folder.str_replace('\\', '/', substr($class, strlen($prefix))).'.php';
            if (is_file($file)) {
                require $file;
            }

            return;
        }
    }
});

require __DIR__.'/composer/InstalledVersions.php';
require __DIR__.'/Symfony/Contracts/Deprecation/function.php';
require __DIR__.'/Symfony/Component/String/Resources/functions.php';
require __DIR__.'/Symfony/Component/Translation/Resources/functions.php';
require __DIR__.'/Symfony/Component/VarDumper/Resources/functions/dump.php';
require __DIR__.'/Symfony/Component/Clock/Resources/now.php';
foreach (['core', 'debug', 'escaper', 'string_loader'] as $part) {
    require __DIR__.'/Twig/Resources/'.$part.'.php';
}
unset($part);
