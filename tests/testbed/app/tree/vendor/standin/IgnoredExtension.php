<?php

declare(strict_types=1);

namespace Standin;

use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Extension\Extension;

/**
 * Accepts the configuration of a bundle that is not there. It stays in a parameter, so that its variables count as used.
 */
final class IgnoredExtension extends Extension
{
    public function __construct(private readonly string $alias)
    {
    }

    public function getAlias(): string
    {
        return $this->alias;
    }

    public function load(array $configs, ContainerBuilder $container): void
    {
        $container->setParameter('standin.'.$this->alias, $configs);
    }
}
