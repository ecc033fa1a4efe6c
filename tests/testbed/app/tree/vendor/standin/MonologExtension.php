<?php

declare(strict_types=1);

namespace Standin;

use Monolog\Formatter\JsonFormatter;
use Monolog\Formatter\LineFormatter;
use Monolog\Handler\FingersCrossed\ErrorLevelActivationStrategy;
use Monolog\Handler\FingersCrossedHandler;
use Monolog\Handler\NullHandler;
use Monolog\Handler\RotatingFileHandler;
use Monolog\Handler\StreamHandler;
use Monolog\Handler\SyslogHandler;
use Monolog\Logger;
use Monolog\Processor\PsrLogMessageProcessor;
use Psr\Log\LoggerInterface;
use Symfony\Bridge\Monolog\Handler\ConsoleHandler;
use Symfony\Bridge\Monolog\Handler\FingersCrossed\HttpCodeActivationStrategy;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Definition;
use Symfony\Component\DependencyInjection\Extension\Extension;
use Symfony\Component\DependencyInjection\Reference;

/**
 * The part of MonologBundle's configuration that Chamilo and its administrators use: stream, rotating_file,
 * fingers_crossed, console, syslog and null handlers, levels, formatters, channels. Handlers of the same name are merged
 * over the files, as the real bundle does.
 */
final class MonologExtension extends Extension
{
    public function getAlias(): string
    {
        return 'monolog';
    }

    public function load(array $configs, ContainerBuilder $container): void
    {
        $handlers = [];
        $channels = [];
        foreach ($configs as $config) {
            $channels = array_merge($channels, $config['channels'] ?? []);
            foreach ($config['handlers'] ?? [] as $name => $handler) {
                if (isset($handlers[$name], $handler['type']) && $handlers[$name]['type'] !== $handler['type']) {
                    $handlers[$name] = [];
                }
                $handlers[$name] = ($handler ?? []) + ($handlers[$name] ?? []);
            }
        }

        $container->register('monolog.formatter.json', JsonFormatter::class);
        $container->register('monolog.formatter.line', LineFormatter::class)->setArguments([null, null, false, false, true]);
        $container->register('monolog.processor.psr', PsrLogMessageProcessor::class);

        $nested = [];
        foreach ($handlers as $name => $handler) {
            $container->setDefinition('monolog.handler.'.$name, $this->handler($name, $handler));
            if (isset($handler['handler'])) {
                $nested[] = $handler['handler'];
            }
        }

        $top = [];
        foreach ($handlers as $name => $handler) {
            if (!\in_array($name, $nested, true)) {
                $top[$name] = (array) ($handler['channels'] ?? []);
            }
        }
        // The last handler of the file is asked first, as in the real bundle.
        $container->setParameter('standin.monolog.handlers', $top);
        $container->setParameter('standin.monolog.channels', array_values(array_unique($channels)));

        $container->setDefinition('monolog.logger', self::logger('app'))->setPublic(true);
        $container->setAlias('logger', 'monolog.logger')->setPublic(true);
        $container->setAlias(LoggerInterface::class, 'logger')->setPublic(false);
    }

    public static function logger(string $channel): Definition
    {
        return (new Definition(Logger::class, [$channel]))->addMethodCall('useMicrosecondTimestamps', [true]);
    }

    private function handler(string $name, array $options): Definition
    {
        $level = $options['level'] ?? 'debug';
        $level = \is_string($level) ? strtolower($level) : $level;
        $bubble = $options['bubble'] ?? true;
        $permission = $options['file_permission'] ?? null;
        if (\is_string($permission)) {
            $permission = octdec($permission);
        }
        $definition = match ($options['type'] ?? null) {
            'stream' => new Definition(StreamHandler::class, [$options['path'] ?? '%kernel.logs_dir%/%kernel.environment%.log', $level, $bubble, $permission]),
            'rotating_file' => new Definition(RotatingFileHandler::class, [$options['path'] ?? '%kernel.logs_dir%/%kernel.environment%.log', $options['max_files'] ?? 0, $level, $bubble, $permission]),
            'syslog' => new Definition(SyslogHandler::class, [$options['ident'] ?? false, $options['facility'] ?? 'user', $level, $bubble]),
            'null' => new Definition(NullHandler::class, [$level]),
            'console' => (new Definition(ConsoleHandler::class, [null, $bubble]))->addTag('kernel.event_subscriber'),
            'fingers_crossed' => $this->fingersCrossed($options, $bubble),
            default => throw new \InvalidArgumentException(\sprintf('The stand-in for MonologBundle does not know the type "%s" of handler "%s".', $options['type'] ?? '', $name)),
        };
        if (isset($options['formatter'])) {
            $definition->addMethodCall('setFormatter', [new Reference($options['formatter'])]);
        } elseif (\in_array($options['type'], ['stream', 'rotating_file'], true)) {
            $definition->addMethodCall('setFormatter', [new Reference('monolog.formatter.line')]);
        }
        if (\in_array($options['type'], ['stream', 'rotating_file', 'syslog'], true) && ($options['process_psr_3_messages'] ?? true)) {
            $definition->addMethodCall('pushProcessor', [new Reference('monolog.processor.psr')]);
        }

        return $definition;
    }

    private function fingersCrossed(array $options, bool $bubble): Definition
    {
        $strategy = new Definition(ErrorLevelActivationStrategy::class, [$options['action_level'] ?? 'warning']);
        if ($codes = $options['excluded_http_codes'] ?? []) {
            $codes = array_map(static fn (int|array $code): array => \is_array($code) ? $code : ['code' => $code, 'urls' => []], $codes);
            $strategy = new Definition(HttpCodeActivationStrategy::class, [new Reference('request_stack'), $codes, $strategy]);
        }

        return new Definition(FingersCrossedHandler::class, [
            new Reference('monolog.handler.'.$options['handler']),
            $strategy,
            $options['buffer_size'] ?? 0,
            $bubble,
            $options['stop_buffering'] ?? true,
            $options['passthru_level'] ?? null,
        ]);
    }
}
