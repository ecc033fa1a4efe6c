<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Controller;

use Chamilo\CoreBundle\Entity\User;
use Chamilo\CoreBundle\Helpers\UserPasswordHelper;
use Chamilo\CoreBundle\Security\UserProvider;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Routing\Attribute\Route;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;

#[Route('/account')]
final class AccountController extends AbstractController
{
    #[Route('/home', name: 'account_home', methods: ['GET'])]
    public function home(): Response
    {
        return $this->json(['username' => $this->getUser()->getUserIdentifier()]);
    }

    /**
     * Takes JSON or a form: current_password, new_password.
     */
    #[Route('/change-password', name: 'account_change_password', methods: ['POST'])]
    public function changePassword(Request $request, UserPasswordHelper $passwords, UserProvider $users, TokenStorageInterface $tokens): Response
    {
        $user = $this->getUser();
        \assert($user instanceof User);
        $data = str_contains((string) $request->getContentTypeFormat(), 'json') ? $request->toArray() : $request->request->all();
        $current = \is_string($data['current_password'] ?? null) ? $data['current_password'] : '';
        $new = \is_string($data['new_password'] ?? null) ? $data['new_password'] : '';
        if (!$passwords->isRight($user, $current)) {
            return $this->json(['error' => 'The current password is wrong.'], 400);
        }
        if ('' === $new || $problems = $passwords->problems($new)) {
            return $this->json(['error' => 'The new password does not meet the requirements.', 'problems' => $problems ?? []], 400);
        }
        $passwords->change($user, $new);
        // A session whose user has another password than the table ends; this one shall go on.
        $tokens->getToken()?->setUser($users->loadUserByIdentifier($user->getUserIdentifier()));

        return $this->json(['changed' => true]);
    }
}
