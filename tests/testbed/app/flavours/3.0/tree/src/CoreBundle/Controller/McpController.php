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

final class McpController extends AbstractController
{
    public function __construct(
        private readonly SettingsManager $settings,
        private readonly Connection $connection,
        private readonly RateLimiterFactory $mcpAuthenticationLimiter,
    ) {
    }

    #[Route('/mcp', name: 'mcp', methods: ['POST', 'OPTIONS'])]
    public function answer(Request $request): Response
    {
        if ('true' !== $this->settings->getSetting('security.mcp_enabled', true)) {
            throw $this->createNotFoundException();
        }
        if ($request->isMethod('OPTIONS')) {
            return new Response('', 204);
        }
        if (!$this->mcpAuthenticationLimiter->create($request->getClientIp())->consume()->isAccepted()) {
            return $this->json(['error' => 'Too many requests.'], 429);
        }
        $key = preg_replace('/^Bearer /', '', (string) $request->headers->get('Authorization'));
        $known = $this->connection->fetchOne("SELECT id FROM user_api_key WHERE api_key = ? AND api_service = 'mcp'", [hash('sha256', $key)]);
        if (false === $known) {
            $where = $request->getSchemeAndHttpHost().'/.well-known/oauth-protected-resource';

            return $this->json(['error' => 'invalid_token'], 401, ['WWW-Authenticate' => 'Bearer resource_metadata="'.$where.'"']);
        }

        return $this->json(['jsonrpc' => '2.0', 'id' => 1, 'result' => new \stdClass()]);
    }
}
