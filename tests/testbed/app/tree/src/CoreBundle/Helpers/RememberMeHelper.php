<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Helpers;

use Chamilo\CoreBundle\EventSubscriber\RememberMeSubscriber;
use Doctrine\DBAL\Connection;
use Symfony\Component\HttpFoundation\Cookie;

/**
 * Chamilo's own remember-me, not Symfony's: one token for each user, its hash in validation_token with type 3.
 */
final class RememberMeHelper
{
    private const TYPE = 3;
    private const LIFETIME = 1209600;

    public function __construct(private readonly Connection $connection, private readonly string $appSecret)
    {
    }

    public function cookie(int $user, string $path): Cookie
    {
        $this->forget($user);
        $token = bin2hex(random_bytes(32));
        $this->connection->insert('validation_token', [
            'type' => self::TYPE, 'resource_id' => $user, 'hash' => $this->hash($user, $token), 'created_at' => date('Y-m-d H:i:s'),
        ]);
        $sameSite = str_starts_with($path, '/login') ? Cookie::SAMESITE_STRICT : Cookie::SAMESITE_LAX;

        return Cookie::create(RememberMeSubscriber::COOKIE, $user.':'.$token, time() + self::LIFETIME, '/', null, true, true, false, $sameSite);
    }

    /**
     * @return int|null the user; the token has been used up then
     */
    public function use(string $value): ?int
    {
        if (1 !== preg_match('/^([1-9]\d{0,9}):([0-9a-f]{64})$/', $value, $match)) {
            return null;
        }
        $used = $this->connection->executeStatement(
            'DELETE FROM validation_token WHERE type = ? AND resource_id = ? AND hash = ? AND created_at > ?',
            [self::TYPE, (int) $match[1], $this->hash((int) $match[1], $match[2]), date('Y-m-d H:i:s', time() - self::LIFETIME)]
        );

        return $used ? (int) $match[1] : null;
    }

    public function forget(int $user): void
    {
        $this->connection->delete('validation_token', ['type' => self::TYPE, 'resource_id' => $user]);
    }

    private function hash(int $user, string $token): string
    {
        return hash_hmac('sha256', $user.':'.$token, $this->appSecret);
    }
}
