<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Helpers;

use Symfony\Component\Dotenv\Dotenv;

/**
 * Whether the installer answers: for a fresh installation, and for an upgrade that a file in the project directory permits.
 */
final class InstallerGate
{
    private const NEWEST = 'Chamilo\CoreBundle\Migrations\Schema\V300\Version20260903150000';

    public static function isOpen(string $root): bool
    {
        if (!is_readable($root.'/.env')) {
            return true;
        }
        $values = (new Dotenv())->parse((string) file_get_contents($root.'/.env'));
        if ('1' !== ($values['APP_INSTALLED'] ?? '')) {
            return true;
        }
        $read = static fn (string $name): string => (string) ($_SERVER[$name] ?? $values[$name] ?? '');
        try {
            $link = new \PDO(
                sprintf('mysql:host=%s;port=%s;dbname=%s', $read('DATABASE_HOST'), $read('DATABASE_PORT'), $read('DATABASE_NAME')),
                $read('DATABASE_USER'),
                $read('DATABASE_PASSWORD')
            );
            if (0 === \count($link->query('SHOW TABLES')->fetchAll())) {
                return true;
            }
            $done = $link->query('SELECT version FROM version')->fetchAll(\PDO::FETCH_COLUMN);
        } catch (\PDOException) {
            return true;
        }
        $behind = [] !== $done && !\in_array(self::NEWEST, $done, true);

        return $behind && is_file($root.'/UPGRADE_ENABLED');
    }
}
