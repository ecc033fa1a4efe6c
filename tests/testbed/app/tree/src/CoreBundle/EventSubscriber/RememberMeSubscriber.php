<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\EventSubscriber;

use Chamilo\CoreBundle\Entity\User;
use Chamilo\CoreBundle\Helpers\RememberMeHelper;
use Chamilo\CoreBundle\Security\RememberMeAuthenticator;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpKernel\Event\ResponseEvent;
use Symfony\Component\HttpKernel\KernelEvents;
use Symfony\Component\Security\Http\Event\LogoutEvent;

/**
 * A used remember-me token is replaced by a new one; a logout ends it.
 */
final class RememberMeSubscriber implements EventSubscriberInterface
{
    public const COOKIE = 'ch_remember_me';

    public function __construct(private readonly RememberMeHelper $tokens)
    {
    }

    public static function getSubscribedEvents(): array
    {
        return [KernelEvents::RESPONSE => 'onResponse', LogoutEvent::class => 'onLogout'];
    }

    public function onResponse(ResponseEvent $event): void
    {
        $request = $event->getRequest();
        $user = $request->attributes->get(RememberMeAuthenticator::USER);
        if ($user instanceof User && $event->isMainRequest() && $request->isSecure()) {
            $event->getResponse()->headers->setCookie($this->tokens->cookie($user->getId(), $request->getPathInfo()));
        }
    }

    public function onLogout(LogoutEvent $event): void
    {
        $user = $event->getToken()?->getUser();
        if ($user instanceof User) {
            $this->tokens->forget($user->getId());
        }
        $event->getResponse()?->headers->clearCookie(self::COOKIE);
    }
}
