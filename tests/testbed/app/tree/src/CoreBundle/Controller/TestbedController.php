<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Controller;

use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Routing\Attribute\Route;

/**
 * Has no counterpart in Chamilo: what tests need to see or to provoke.
 */
#[Route('/_testbed')]
final class TestbedController extends AbstractController
{
    #[Route('/request', methods: ['GET', 'POST'])]
    public function request(Request $request): Response
    {
        return $this->json([
            'client_ip' => $request->getClientIp(),
            'secure' => $request->isSecure(),
            'host' => $request->getHttpHost(),
            'locale' => $request->getLocale(),
            'authorization' => $request->headers->has('Authorization'),
            'php' => \PHP_VERSION,
            'sapi' => \PHP_SAPI,
            'env' => $this->getParameter('kernel.environment'),
            'debug' => $this->getParameter('kernel.debug'),
        ]);
    }

    #[Route('/slow', methods: ['GET'])]
    public function slow(Request $request): Response
    {
        $seconds = max(0, min(30, $request->query->getInt('seconds', 2)));
        sleep($seconds);

        return new Response('slept '.$seconds." seconds\n", 200, ['Content-Type' => 'text/plain']);
    }

    #[Route('/crash', methods: ['GET'])]
    public function crash(): Response
    {
        throw new \RuntimeException('A page failed on purpose.');
    }
}
