<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Helpers;

use Chamilo\CoreBundle\Entity\User;
use Chamilo\CoreBundle\Settings\SettingsManager;
use Doctrine\DBAL\Connection;
use Symfony\Component\PasswordHasher\Hasher\UserPasswordHasherInterface;

/**
 * The password policy: enforced only while security.check_password is on.
 */
final class UserPasswordHelper
{
    private const BUILT_IN = ['min' => ['lowercase' => 0, 'uppercase' => 0, 'numeric' => 2, 'length' => 5, 'specials' => 1]];

    public function __construct(
        private readonly SettingsManager $settings,
        private readonly UserPasswordHasherInterface $hasher,
        private readonly Connection $connection,
    ) {
    }

    /**
     * @return string[] what is wrong with it
     */
    public function problems(string $password): array
    {
        if ('true' !== $this->settings->getSetting('security.check_password', true)) {
            return [];
        }
        $given = (string) $this->settings->getSetting('security.password_requirements', true);
        $min = ('' === $given ? self::BUILT_IN : json_decode($given, true, 8, \JSON_THROW_ON_ERROR))['min'];
        $found = [
            'length' => mb_strlen($password),
            'lowercase' => preg_match_all('/[a-z]/', $password),
            'uppercase' => preg_match_all('/[A-Z]/', $password),
            'numeric' => preg_match_all('/[0-9]/', $password),
            'specials' => preg_match_all('/[^A-Za-z0-9]/', $password),
        ];
        $problems = [];
        foreach ($found as $kind => $number) {
            // Each key is read without a default, as the real validator does.
            if ($number < $min[$kind]) {
                $problems[] = \sprintf('%s: at least %d', $kind, $min[$kind]);
            }
        }

        return $problems;
    }

    public function isRight(User $user, string $password): bool
    {
        return $this->hasher->isPasswordValid($user, $password);
    }

    public function change(User $user, string $password): void
    {
        $now = date('Y-m-d H:i:s');
        $this->connection->update(
            'user',
            ['password' => $this->hasher->hashPassword($user, $password), 'password_updated_at' => $now, 'updated_at' => $now],
            ['id' => $user->getId()]
        );
    }

    public function mustChange(User $user): bool
    {
        $days = (int) $this->settings->getSetting('security.password_rotation_days', true);
        $changed = $user->get('password_updated_at') ?? $user->get('created_at');
        if ($days > 0 && strtotime($changed) < time() - $days * 86400) {
            return true;
        }

        return null === $user->get('password_updated_at')
            && 'true' === $this->settings->getSetting('security.force_renew_password_at_first_login', true);
    }
}
