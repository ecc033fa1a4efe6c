<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Security;

use Chamilo\CoreBundle\Settings\SettingsManager;
use Doctrine\DBAL\Connection;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\Exception\AuthenticationException;
use Symfony\Component\Security\Core\Exception\CustomUserMessageAuthenticationException;
use Symfony\Component\Security\Http\Authenticator\AbstractAuthenticator;
use Symfony\Component\Security\Http\Authenticator\Passport\Badge\UserBadge;
use Symfony\Component\Security\Http\Authenticator\Passport\Passport;
use Symfony\Component\Security\Http\Authenticator\Passport\SelfValidatingPassport;

/**
 * A bearer that is no JSON web token is the key of an external program.
 */
final class ExternalApiKeyAuthenticator extends AbstractAuthenticator
{
    public function __construct(
        private readonly Connection $connection,
        private readonly SettingsManager $settings,
        private readonly UserProvider $users,
    ) {
    }

    public function supports(Request $request): ?bool
    {
        $header = (string) $request->headers->get('Authorization');

        return str_starts_with($header, 'Bearer ') && 2 !== substr_count($header, '.');
    }

    public function authenticate(Request $request): Passport
    {
        $key = hash('sha256', substr((string) $request->headers->get('Authorization'), 7));
        $user = 'true' === $this->settings->getSetting('security.external_api_enabled', true)
            ? $this->connection->fetchOne("SELECT u.username FROM user_api_key k JOIN user u ON u.id = k.user_id WHERE k.api_key = ? AND k.api_service = 'external'", [$key])
            : false;
        if (false === $user) {
            throw new CustomUserMessageAuthenticationException('Invalid API key');
        }

        return new SelfValidatingPassport(new UserBadge($user, $this->users->loadUserByIdentifier(...)));
    }

    public function onAuthenticationSuccess(Request $request, TokenInterface $token, string $firewallName): ?Response
    {
        return null;
    }

    public function onAuthenticationFailure(Request $request, AuthenticationException $exception): Response
    {
        return new JsonResponse(['message' => $exception->getMessageKey()], 401);
    }
}
