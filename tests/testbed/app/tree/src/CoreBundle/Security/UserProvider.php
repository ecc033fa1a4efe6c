<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Security;

use Chamilo\CoreBundle\Entity\User;
use Chamilo\CoreBundle\Settings\SettingsManager;
use Doctrine\DBAL\Connection;
use Symfony\Component\Security\Core\Exception\UserNotFoundException;
use Symfony\Component\Security\Core\User\PasswordAuthenticatedUserInterface;
use Symfony\Component\Security\Core\User\PasswordUpgraderInterface;
use Symfony\Component\Security\Core\User\UserInterface;
use Symfony\Component\Security\Core\User\UserProviderInterface;

final class UserProvider implements UserProviderInterface, PasswordUpgraderInterface
{
    public function __construct(private readonly Connection $connection, private readonly SettingsManager $settings)
    {
    }

    public function loadUserByIdentifier(string $identifier): UserInterface
    {
        return $this->find($identifier) ?? throw $this->unknown($identifier);
    }

    public function find(string $username): ?User
    {
        $row = $this->connection->fetchAssociative('SELECT * FROM user WHERE username = ? AND active <> -2 AND status NOT IN (6, 99)', [$username]);

        return false === $row ? null : new User($row);
    }

    public function findById(int $id): ?User
    {
        $row = $this->connection->fetchAssociative('SELECT * FROM user WHERE id = ?', [$id]);

        return false === $row ? null : new User($row);
    }

    public function refreshUser(UserInterface $user): UserInterface
    {
        $fresh = $this->loadUserByIdentifier($user->getUserIdentifier());
        if (!$fresh->isActive() && 'true' === $this->settings->getSetting('security.security_block_inactive_users_immediately', true)) {
            throw $this->unknown($user->getUserIdentifier());
        }

        return $fresh;
    }

    public function supportsClass(string $class): bool
    {
        return User::class === $class;
    }

    public function upgradePassword(PasswordAuthenticatedUserInterface $user, string $newHashedPassword): void
    {
        $this->connection->update('user', ['password' => $newHashedPassword], ['username' => $user->getUserIdentifier()]);
    }

    private function unknown(string $username): UserNotFoundException
    {
        $exception = new UserNotFoundException();
        $exception->setUserIdentifier($username);

        return $exception;
    }
}
