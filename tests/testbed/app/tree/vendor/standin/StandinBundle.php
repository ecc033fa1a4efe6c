<?php

declare(strict_types=1);

namespace Standin;

use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\HttpKernel\Bundle\Bundle;

/**
 * Stands in for the bundles that Debian does not package: see "The application" in tests/testbed/README.md.
 */
final class StandinBundle extends Bundle
{
    public function build(ContainerBuilder $container): void
    {
        $container->registerExtension(new MonologExtension());
        $container->registerExtension(new DoctrineExtension());
        $container->registerExtension(new JwtExtension());
        foreach (['doctrine_migrations', 'nelmio_cors', 'api_platform', 'oneup_flysystem', 'mercure', 'stof_doctrine_extensions', 'vich_uploader', 'webpack_encore'] as $alias) {
            $container->registerExtension(new IgnoredExtension($alias));
        }
        $container->addCompilerPass(new MonologChannelPass());
    }
}
