<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\EventSubscriber;

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\Exception;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpFoundation\RedirectResponse;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\KernelEvents;

/**
 * Without a database every page leads to the installer.
 */
final class InstallDbGuardSubscriber implements EventSubscriberInterface
{
    public function __construct(private readonly Connection $connection)
    {
    }

    public static function getSubscribedEvents(): array
    {
        return [KernelEvents::REQUEST => ['onRequest', 4096]];
    }

    public function onRequest(RequestEvent $event): void
    {
        try {
            $settings = $this->connection->fetchOne('SELECT id FROM settings LIMIT 1');
        } catch (Exception) {
            $settings = false;
        }
        if (false === $settings) {
            $event->setResponse(new RedirectResponse('/main/install/index.php'));
        }
    }
}
