<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Security;

use Chamilo\CoreBundle\Entity\User;
use Chamilo\CoreBundle\EventSubscriber\RememberMeSubscriber;
use Chamilo\CoreBundle\Helpers\RememberMeHelper;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\Exception\AuthenticationException;
use Symfony\Component\Security\Http\Authenticator\AbstractAuthenticator;
use Symfony\Component\Security\Http\Authenticator\Passport\Badge\UserBadge;
use Symfony\Component\Security\Http\Authenticator\Passport\Passport;
use Symfony\Component\Security\Http\Authenticator\Passport\SelfValidatingPassport;

/**
 * Lets a visitor with a good remember-me cookie and without a session in.
 */
final class RememberMeAuthenticator extends AbstractAuthenticator
{
    public const USER = '_remember_me_user';

    public function __construct(private readonly RememberMeHelper $tokens, private readonly UserProvider $users)
    {
    }

    public function supports(Request $request): ?bool
    {
        // Symfony asks twice; a token can be used once.
        if ($request->attributes->has(self::USER)) {
            return true;
        }
        $cookie = $request->cookies->get(RememberMeSubscriber::COOKIE);
        if (!\is_string($cookie) || str_starts_with($request->getPathInfo(), '/login')
            || ($request->hasPreviousSession() && $request->getSession()->has('_security_main'))) {
            return false;
        }
        // A cookie that is no good is no failed login: the visitor stays a guest.
        $id = $this->tokens->use($cookie);
        $user = null === $id ? null : $this->users->findById($id);
        if (null === $user || !$user->isActive() || $user->isExpired()) {
            return false;
        }
        $request->attributes->set(self::USER, $user);

        return true;
    }

    public function authenticate(Request $request): Passport
    {
        $user = $request->attributes->get(self::USER);
        \assert($user instanceof User);

        return new SelfValidatingPassport(new UserBadge($user->getUserIdentifier(), static fn (): User => $user));
    }

    public function onAuthenticationSuccess(Request $request, TokenInterface $token, string $firewallName): ?Response
    {
        return null;
    }

    public function onAuthenticationFailure(Request $request, AuthenticationException $exception): ?Response
    {
        return null;
    }
}
