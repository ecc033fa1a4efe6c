<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Entity;

use Symfony\Component\Security\Core\User\PasswordAuthenticatedUserInterface;
use Symfony\Component\Security\Core\User\UserInterface;

final class User implements UserInterface, PasswordAuthenticatedUserInterface
{
    public const ANONYMOUS = 6;
    public const FALLBACK = 99;

    public function __construct(private array $row)
    {
    }

    public function getId(): int
    {
        return (int) $this->row['id'];
    }

    public function getUserIdentifier(): string
    {
        return $this->row['username'];
    }

    public function getPassword(): string
    {
        return $this->row['password'];
    }

    public function getRoles(): array
    {
        $roles = unserialize($this->row['roles'], ['allowed_classes' => false]);

        return array_values(array_unique(array_merge(\is_array($roles) ? $roles : [], ['ROLE_USER'])));
    }

    public function get(string $column): mixed
    {
        return $this->row[$column];
    }

    public function isActive(): bool
    {
        return 1 === (int) $this->row['active'];
    }

    public function isExpired(): bool
    {
        $until = $this->row['expiration_date'];

        return (bool) $this->row['expired'] || (null !== $until && strtotime($until) < time());
    }

    public function eraseCredentials(): void
    {
    }
}
