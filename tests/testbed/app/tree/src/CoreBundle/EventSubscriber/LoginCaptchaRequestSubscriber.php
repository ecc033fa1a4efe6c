<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\EventSubscriber;

use Chamilo\CoreBundle\Security\LoginCaptchaManager;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\KernelEvents;
use Symfony\Component\Security\Http\Event\LoginSuccessEvent;

/**
 * Comes before the firewall, so a refused attempt is neither logged nor counted there. The API's login is not covered.
 */
final class LoginCaptchaRequestSubscriber implements EventSubscriberInterface
{
    public function __construct(private readonly LoginCaptchaManager $captcha)
    {
    }

    public static function getSubscribedEvents(): array
    {
        return [KernelEvents::REQUEST => ['onRequest', 20], LoginSuccessEvent::class => 'onLogin'];
    }

    public function onRequest(RequestEvent $event): void
    {
        $request = $event->getRequest();
        if (!$event->isMainRequest() || !$request->isMethod('POST')
            || !\in_array($request->getPathInfo(), ['/login_json', '/login/ldap/check'], true) || !$this->captcha->isEnabled()) {
            return;
        }
        $data = json_decode($request->getContent(), true);
        $username = trim(\is_array($data) && \is_scalar($data['username'] ?? null) ? (string) $data['username'] : '');
        $answer = trim(\is_array($data) && \is_scalar($data['captcha_code'] ?? null) ? (string) $data['captcha_code'] : '');
        if ('' === $username) {
            return;
        }
        if ($seconds = $this->captcha->blockedSeconds($username)) {
            $event->setResponse(new JsonResponse(['error' => 'Captcha is temporarily blocked for this account.', 'captchaRequired' => true, 'captchaBlocked' => true, 'captchaBlockedSeconds' => $seconds], 429));
        } elseif (!$this->captcha->isRight($request, $answer)) {
            $this->captcha->addMistake($username);
            $event->setResponse(new JsonResponse(['error' => 'Invalid captcha code.', 'captchaRequired' => true], 401));
        }
    }

    public function onLogin(LoginSuccessEvent $event): void
    {
        if ('main' === $event->getFirewallName()) {
            $this->captcha->forget($event->getUser()->getUserIdentifier());
        }
    }
}
