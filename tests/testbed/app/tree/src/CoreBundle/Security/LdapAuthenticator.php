<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Security;

use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\Exception\AuthenticationException;
use Symfony\Component\Security\Http\Authenticator\AbstractAuthenticator;
use Symfony\Component\Security\Http\Authenticator\Passport\Badge\UserBadge;
use Symfony\Component\Security\Http\Authenticator\Passport\Credentials\CustomCredentials;
use Symfony\Component\Security\Http\Authenticator\Passport\Passport;

/**
 * The directory is not configured here: every attempt fails as against a directory that does not know the user.
 */
final class LdapAuthenticator extends AbstractAuthenticator
{
    public function __construct(private readonly UserProvider $users)
    {
    }

    public function supports(Request $request): ?bool
    {
        return '/login/ldap/check' === $request->getPathInfo() && $request->isMethod('POST');
    }

    public function authenticate(Request $request): Passport
    {
        $data = json_decode($request->getContent(), true);
        $username = \is_array($data) && \is_string($data['username'] ?? null) ? $data['username'] : '';

        return new Passport(
            new UserBadge($username, $this->users->loadUserByIdentifier(...)),
            new CustomCredentials(static fn (): bool => false, '')
        );
    }

    public function onAuthenticationSuccess(Request $request, TokenInterface $token, string $firewallName): ?Response
    {
        return null;
    }

    public function onAuthenticationFailure(Request $request, AuthenticationException $exception): Response
    {
        return new JsonResponse(['error' => strtr($exception->getMessageKey(), $exception->getMessageData())], 401);
    }
}
