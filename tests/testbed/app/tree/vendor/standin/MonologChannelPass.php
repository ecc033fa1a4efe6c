<?php

declare(strict_types=1);

namespace Standin;

use Symfony\Component\DependencyInjection\Compiler\CompilerPassInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Reference;

/**
 * Gives every service that is tagged with a channel the logger of that channel, and every logger its handlers.
 */
final class MonologChannelPass implements CompilerPassInterface
{
    public function process(ContainerBuilder $container): void
    {
        $channels = ['app' => 'monolog.logger'];
        foreach ($container->getParameter('standin.monolog.channels') as $channel) {
            $this->channel($container, $channels, $channel);
        }
        foreach ($container->findTaggedServiceIds('monolog.logger') as $id => $tags) {
            $definition = $container->getDefinition($id);
            foreach ($tags as $tag) {
                $channel = $tag['channel'] ?? null;
                if (null === $channel || 'app' === $channel) {
                    continue;
                }
                $logger = new Reference($this->channel($container, $channels, $channel));
                $definition->setArguments($this->replace($definition->getArguments(), $logger));
                $calls = [];
                foreach ($definition->getMethodCalls() as $call) {
                    $calls[] = [$call[0], $this->replace($call[1], $logger), $call[2] ?? false];
                }
                $definition->setMethodCalls($calls);
            }
        }
        foreach ($channels as $channel => $logger) {
            foreach (array_reverse($container->getParameter('standin.monolog.handlers')) as $name => $wanted) {
                if ($this->wants($wanted, $channel)) {
                    $container->getDefinition($logger)->addMethodCall('pushHandler', [new Reference('monolog.handler.'.$name)]);
                }
            }
        }
    }

    private function channel(ContainerBuilder $container, array &$channels, string $channel): string
    {
        if (!isset($channels[$channel])) {
            $container->setDefinition($id = 'monolog.logger.'.$channel, MonologExtension::logger($channel))->setPublic(true);
            $channels[$channel] = $id;
        }

        return $channels[$channel];
    }

    private function replace(array $arguments, Reference $logger): array
    {
        foreach ($arguments as $key => $argument) {
            if ($argument instanceof Reference && 'logger' === (string) $argument) {
                $arguments[$key] = $logger;
            }
        }

        return $arguments;
    }

    /**
     * @param string[] $wanted names, or names with "!" before them
     */
    private function wants(array $wanted, string $channel): bool
    {
        if (!$wanted) {
            return true;
        }
        if (str_starts_with($wanted[0], '!')) {
            return !\in_array('!'.$channel, $wanted, true);
        }

        return \in_array($channel, $wanted, true);
    }
}
