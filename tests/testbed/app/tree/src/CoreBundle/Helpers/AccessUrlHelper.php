<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Helpers;

use Doctrine\DBAL\Connection;
use Symfony\Component\HttpFoundation\RequestStack;
use Symfony\Contracts\Service\ResetInterface;

/**
 * Which portal a request belongs to: exact URL, then the other scheme, then the host alone, then id 1, then the lowest id.
 */
final class AccessUrlHelper implements ResetInterface
{
    public const MAIN = 1;

    private ?int $current = null;

    public function __construct(private readonly Connection $connection, private readonly RequestStack $requests)
    {
    }

    public function getCurrentId(): int
    {
        return $this->current ??= $this->find();
    }

    public function reset(): void
    {
        $this->current = null;
    }

    private function find(): int
    {
        $urls = $this->connection->fetchAllKeyValue('SELECT id, url FROM access_url WHERE active = 1 ORDER BY id');
        $request = $this->requests->getMainRequest();
        if ($request) {
            $host = $request->getHttpHost();
            $scheme = $request->getScheme();
            $other = 'https' === $scheme ? 'http' : 'https';
            foreach ([$scheme.'://'.$host, $other.'://'.$host, $host] as $wanted) {
                foreach ([$wanted.'/', $wanted] as $url) {
                    if (false !== $id = array_search($url, $urls, true)) {
                        return (int) $id;
                    }
                }
            }
            foreach ($urls as $id => $url) {
                if (parse_url($url, \PHP_URL_HOST) === $request->getHost()) {
                    return (int) $id;
                }
            }
        }

        return isset($urls[self::MAIN]) ? self::MAIN : (int) (array_key_first($urls) ?? self::MAIN);
    }
}
