<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Controller;

use Chamilo\CoreBundle\Settings\SettingsManager;
use Doctrine\DBAL\Connection;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\RateLimiter\RateLimiterFactory;
use Symfony\Component\Routing\Attribute\Route;

final class OAuthController extends AbstractController
{
    public function __construct(
        private readonly SettingsManager $settings,
        private readonly Connection $connection,
        private readonly RateLimiterFactory $oauthTokenLimiter,
        private readonly RateLimiterFactory $oauthRegisterLimiter,
    ) {
    }

    #[Route('/.well-known/oauth-protected-resource', name: 'oauth_protected_resource', methods: ['GET'])]
    #[Route('/.well-known/oauth-authorization-server', name: 'oauth_authorization_server', methods: ['GET'])]
    public function discovery(Request $request): Response
    {
        $this->isEnabled();
        $base = $request->getSchemeAndHttpHost();

        return $this->json(['issuer' => $base, 'resource' => $base.'/mcp', 'token_endpoint' => $base.'/oauth/token']);
    }

    #[Route('/oauth/register', name: 'oauth_register', methods: ['POST'])]
    public function register(Request $request): Response
    {
        $this->isEnabled();
        if (!$this->oauthRegisterLimiter->create($request->getClientIp())->consume()->isAccepted()) {
            return $this->json(['error' => 'too_many_requests'], 429);
        }
        $client = bin2hex(random_bytes(16));
        $this->connection->insert('oauth_client', ['client_id' => $client, 'client_ip' => $request->getClientIp(), 'created_at' => date('Y-m-d H:i:s')]);

        return $this->json(['client_id' => $client], 201);
    }

    #[Route('/oauth/token', name: 'oauth_token', methods: ['POST'])]
    public function token(Request $request): Response
    {
        $this->isEnabled();
        $accepted = $this->oauthTokenLimiter->create($request->getClientIp())->consume()->isAccepted();

        return $accepted ? $this->json(['error' => 'invalid_client'], 401) : $this->json(['error' => 'too_many_requests'], 429);
    }

    #[Route('/oauth/revoke', name: 'oauth_revoke', methods: ['POST'])]
    public function revoke(): Response
    {
        $this->isEnabled();

        return new Response();
    }

    private function isEnabled(): void
    {
        if ('true' !== $this->settings->getSetting('security.oauth_server_enabled', true)) {
            throw $this->createNotFoundException();
        }
    }
}
