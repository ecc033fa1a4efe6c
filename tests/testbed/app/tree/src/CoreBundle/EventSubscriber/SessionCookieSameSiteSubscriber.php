<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\EventSubscriber;

use Chamilo\CoreBundle\Settings\SettingsManager;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpFoundation\Cookie;
use Symfony\Component\HttpKernel\Event\ResponseEvent;
use Symfony\Component\HttpKernel\KernelEvents;

final class SessionCookieSameSiteSubscriber implements EventSubscriberInterface
{
    public function __construct(private readonly SettingsManager $settings)
    {
    }

    public static function getSubscribedEvents(): array
    {
        // After Symfony's session listener has put the cookie on the answer.
        return [KernelEvents::RESPONSE => ['onResponse', -1001]];
    }

    public function onResponse(ResponseEvent $event): void
    {
        $cookies = array_filter($event->getResponse()->headers->getCookies(), static fn (Cookie $cookie): bool => 'chamilo2' === $cookie->getName());
        if (!$cookies || !$event->getRequest()->isSecure()
            || 'true' !== $this->settings->getSetting('security.security_session_cookie_samesite_none', true)) {
            return;
        }
        foreach ($cookies as $cookie) {
            $event->getResponse()->headers->setCookie($cookie->withSecure()->withSameSite(Cookie::SAMESITE_NONE));
        }
    }
}
