<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Security;

use Standin\JwtManager;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Security\Core\Authentication\Token\TokenInterface;
use Symfony\Component\Security\Core\Exception\AuthenticationException;
use Symfony\Component\Security\Http\Authentication\AuthenticationFailureHandlerInterface;
use Symfony\Component\Security\Http\Authentication\AuthenticationSuccessHandlerInterface;

/**
 * Answers of /api/authentication_token.
 */
final class JwtLoginHandler implements AuthenticationSuccessHandlerInterface, AuthenticationFailureHandlerInterface
{
    public function __construct(private readonly JwtManager $tokens)
    {
    }

    public function onAuthenticationSuccess(Request $request, TokenInterface $token): Response
    {
        return new JsonResponse(['token' => $this->tokens->create($token->getUserIdentifier(), $token->getRoleNames())]);
    }

    public function onAuthenticationFailure(Request $request, AuthenticationException $exception): Response
    {
        return JwtAuthenticator::refuse(strtr($exception->getMessageKey(), $exception->getMessageData()));
    }
}
