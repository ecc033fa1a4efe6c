<?php

declare(strict_types=1);

namespace Standin;

use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Extension\Extension;

final class JwtExtension extends Extension
{
    public function getAlias(): string
    {
        return 'lexik_jwt_authentication';
    }

    public function load(array $configs, ContainerBuilder $container): void
    {
        $config = array_replace(...$configs);
        $container->register(JwtManager::class, JwtManager::class)
            ->setArguments([$config['secret_key'], $config['public_key'], $config['pass_phrase'], $config['token_ttl'] ?? 3600])
            ->setPublic(true);
    }
}
