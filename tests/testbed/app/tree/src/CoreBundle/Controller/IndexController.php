<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Controller;

use Chamilo\CoreBundle\Settings\SettingsManager;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Routing\Attribute\Route;

final class IndexController extends AbstractController
{
    public function __construct(private readonly SettingsManager $settings)
    {
    }

    /**
     * The shell of the single-page application.
     */
    #[Route('/', name: 'index', methods: ['GET', 'HEAD'])]
    #[Route('/home', name: 'home', methods: ['GET', 'HEAD'])]
    #[Route('/login', name: 'login', methods: ['GET', 'HEAD'])]
    #[Route('/courses', name: 'courses', methods: ['GET', 'HEAD'])]
    public function index(): Response
    {
        return $this->render('index.html.twig', [
            'site_name' => $this->settings->getSetting('platform.site_name'),
            'institution' => $this->settings->getSetting('platform.institution'),
            'captcha' => 'true' === $this->settings->getSetting('security.allow_captcha', true),
        ]);
    }

    #[Route('/check-session', name: 'check_session', methods: ['GET'])]
    public function session(): Response
    {
        $user = $this->getUser();

        return $this->json(['isAuthenticated' => null !== $user] + ($user ? ['user' => ['username' => $user->getUserIdentifier(), 'roles' => $user->getRoles()]] : []));
    }
}
