<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Security;

use Standin\JwtManager;
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
use Symfony\Component\Security\Http\EntryPoint\AuthenticationEntryPointInterface;

final class JwtAuthenticator extends AbstractAuthenticator implements AuthenticationEntryPointInterface
{
    public function __construct(private readonly JwtManager $tokens, private readonly UserProvider $users)
    {
    }

    public function supports(Request $request): ?bool
    {
        return str_starts_with((string) $request->headers->get('Authorization'), 'Bearer ');
    }

    public function authenticate(Request $request): Passport
    {
        $claims = $this->tokens->check(substr((string) $request->headers->get('Authorization'), 7));
        if (null === $claims) {
            throw new CustomUserMessageAuthenticationException('Invalid JWT Token');
        }

        return new SelfValidatingPassport(new UserBadge($claims['username'], $this->users->loadUserByIdentifier(...)));
    }

    public function onAuthenticationSuccess(Request $request, TokenInterface $token, string $firewallName): ?Response
    {
        return null;
    }

    public function onAuthenticationFailure(Request $request, AuthenticationException $exception): Response
    {
        return self::refuse($exception->getMessageKey());
    }

    public function start(Request $request, ?AuthenticationException $authException = null): Response
    {
        return self::refuse('JWT Token not found');
    }

    public static function refuse(string $message): JsonResponse
    {
        return new JsonResponse(['code' => 401, 'message' => $message], 401, ['WWW-Authenticate' => 'Bearer']);
    }
}
