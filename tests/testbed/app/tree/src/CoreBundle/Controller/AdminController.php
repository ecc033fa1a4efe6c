<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Controller;

use Chamilo\CoreBundle\Helpers\AccessUrlHelper;
use Chamilo\CoreBundle\Settings\Schemas;
use Chamilo\CoreBundle\Settings\SettingsManager;
use Doctrine\DBAL\Connection;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Routing\Attribute\Route;

#[Route('/admin')]
final class AdminController extends AbstractController
{
    /**
     * The form shows and saves the values of the database, whatever the override file says.
     */
    #[Route('/settings/{category}', name: 'admin_settings', requirements: ['category' => '[a-z]+'], methods: ['GET', 'POST'])]
    public function settings(string $category, Request $request, SettingsManager $settings, AccessUrlHelper $urls): Response
    {
        if (!isset(Schemas::DEFAULTS[$category])) {
            throw $this->createNotFoundException();
        }
        if ($request->isMethod('POST')) {
            $settings->save($category, $request->request->all());

            return $this->redirectToRoute('admin_settings', ['category' => $category]);
        }

        return $this->render('settings.html.twig', ['category' => $category, 'values' => $settings->load($category, $urls->getCurrentId())]);
    }

    #[Route('/security/login-attempts', name: 'admin_login_attempts', methods: ['GET'])]
    public function attempts(Connection $connection): Response
    {
        return $this->json($connection->fetchAllAssociative('SELECT username, login_date, user_ip, success FROM track_e_login_record ORDER BY id DESC LIMIT 100'));
    }
}
