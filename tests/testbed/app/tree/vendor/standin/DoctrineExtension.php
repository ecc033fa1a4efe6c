<?php

declare(strict_types=1);

namespace Standin;

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\DriverManager;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Extension\Extension;

/**
 * DoctrineBundle's dbal section: one connection. The orm section is kept and not used.
 */
final class DoctrineExtension extends Extension
{
    public function getAlias(): string
    {
        return 'doctrine';
    }

    public function load(array $configs, ContainerBuilder $container): void
    {
        $config = array_replace_recursive(...$configs);
        $container->setParameter('standin.doctrine', $config);
        $dbal = $config['dbal'];
        unset($dbal['default_table_options']);
        // Asking the server for its version would cost a query per request.
        $dbal['serverVersion'] ??= '10.11.2-MariaDB';
        $container->register('doctrine.dbal.default_connection', Connection::class)
            ->setFactory([DriverManager::class, 'getConnection'])
            ->setArguments([$dbal])
            ->setPublic(true);
        $container->setAlias(Connection::class, 'doctrine.dbal.default_connection')->setPublic(true);
    }
}
