<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\EventSubscriber;

use Chamilo\CoreBundle\Entity\User;
use Chamilo\CoreBundle\Helpers\RememberMeHelper;
use Chamilo\CoreBundle\Security\UserProvider;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\Event\ResponseEvent;
use Symfony\Component\HttpKernel\KernelEvents;
use Symfony\Component\Security\Core\Authentication\Token\UsernamePasswordToken;
use Symfony\Component\Security\Http\Event\LogoutEvent;

final class RememberMeSubscriber implements EventSubscriberInterface
{
    private const IN_SESSION = '_security_main';
    private const TO_ROTATE = '_remember_me_user';

    public function __construct(private readonly RememberMeHelper $tokens, private readonly UserProvider $users)
    {
    }

    public static function getSubscribedEvents(): array
    {
        // Just before the firewall, which takes the user from the session.
        return [
            KernelEvents::REQUEST => ['onRequest', 9],
            KernelEvents::RESPONSE => ['onResponse', 0],
            LogoutEvent::class => 'onLogout',
        ];
    }

    public function onRequest(RequestEvent $event): void
    {
        $request = $event->getRequest();
        $cookie = $request->cookies->get(RememberMeHelper::COOKIE);
        if (!$event->isMainRequest() || !\is_string($cookie) || str_starts_with($request->getPathInfo(), '/api') || $request->getSession()->has(self::IN_SESSION)) {
            return;
        }
        $id = $this->tokens->use($cookie);
        $user = null === $id ? null : $this->users->findById($id);
        if (null === $user || !$user->isActive() || $user->isExpired()) {
            return;
        }
        $request->getSession()->migrate(true);
        $request->getSession()->set(self::IN_SESSION, serialize(new UsernamePasswordToken($user, 'main', $user->getRoles())));
        $request->attributes->set(self::TO_ROTATE, $id);
    }

    public function onResponse(ResponseEvent $event): void
    {
        $id = $event->getRequest()->attributes->get(self::TO_ROTATE);
        if (null !== $id && $event->isMainRequest() && $event->getRequest()->isSecure()) {
            $event->getResponse()->headers->setCookie($this->tokens->cookie($id, $event->getRequest()->getPathInfo()));
        }
    }

    public function onLogout(LogoutEvent $event): void
    {
        $user = $event->getToken()?->getUser();
        if ($user instanceof User) {
            $this->tokens->forget($user->getId());
        }
        $event->getResponse()?->headers->clearCookie(RememberMeHelper::COOKIE);
    }
}
