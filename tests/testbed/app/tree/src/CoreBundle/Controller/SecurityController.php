<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Controller;

use Chamilo\CoreBundle\Entity\User;
use Chamilo\CoreBundle\Helpers\RememberMeHelper;
use Chamilo\CoreBundle\Helpers\UserPasswordHelper;
use Chamilo\CoreBundle\Security\LoginCaptchaManager;
use Chamilo\CoreBundle\Security\Totp;
use Chamilo\CoreBundle\Settings\SettingsManager;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Routing\Attribute\Route;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;

final class SecurityController extends AbstractController
{
    public function __construct(
        private readonly TokenStorageInterface $tokens,
        private readonly SettingsManager $settings,
        private readonly RememberMeHelper $rememberMe,
        private readonly UserPasswordHelper $passwords,
        private readonly Totp $totp,
    ) {
    }

    /**
     * Runs after json_login let the request through: the password was right.
     */
    #[Route('/login_json', name: 'login_json', methods: ['POST'])]
    public function login(Request $request): Response
    {
        $user = $this->getUser();
        if (!$user instanceof User) {
            return $this->json(['error' => 'Invalid login request: check that the Content-Type header is "application/json".'], 400);
        }
        if (!$user->isActive()) {
            return $this->refuse($request, 'Account not activated.', 403);
        }
        if ($user->isExpired()) {
            return $this->refuse($request, 'Your account has expired.', 403);
        }
        $data = json_decode($request->getContent(), true);
        if ($user->get('mfa_enabled') && 'true' === $this->settings->getSetting('security.2fa_enable', true)) {
            $code = \is_scalar($data['totp'] ?? null) ? (string) $data['totp'] : '';
            if ('' === $code) {
                return $this->refuse($request, null, 200);
            }
            if (!$this->totp->isRight((string) $user->get('mfa_secret'), $code)) {
                return $this->refuse($request, 'Invalid 2FA code.', 401);
            }
        }
        $answer = ['id' => $user->getId(), 'username' => $user->getUserIdentifier(), 'roles' => $user->getRoles()];
        if ($this->passwords->mustChange($user)) {
            $answer['force_password_change'] = true;
        }
        $response = $this->json($answer);
        if (true === ($data['_remember_me'] ?? false) && $request->isSecure()) {
            $response->headers->setCookie($this->rememberMe->cookie($user->getId(), $request->getPathInfo()));
        }

        return $response;
    }

    #[Route('/login/ldap/check', name: 'login_ldap_check', methods: ['POST'])]
    public function ldap(): Response
    {
        return $this->json(['error' => 'Invalid credentials.'], 401);
    }

    #[Route('/login/captcha', name: 'login_captcha', methods: ['GET'])]
    public function captcha(Request $request, LoginCaptchaManager $captcha): Response
    {
        return new Response($captcha->picture($captcha->newCode($request->getSession())), 200, ['Content-Type' => 'image/svg+xml', 'Cache-Control' => 'no-store']);
    }

    private function refuse(Request $request, ?string $message, int $status): JsonResponse
    {
        $this->tokens->setToken(null);
        $request->getSession()->invalidate();

        return $this->json(null === $message ? ['requires2FA' => true] : ['error' => $message], $status);
    }
}
