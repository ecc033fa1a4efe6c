<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Helpers;

use Symfony\Contracts\Translation\TranslatorInterface;

/**
 * Writes var/log/ids/ids.log. The weaknesses are those of the real one: the user name is written as it came, the words
 * follow the language of the request, and an empty file makes the reader of the last line fail.
 */
final class LoginAttemptLoggerHelper
{
    private const KEPT = 90;

    public function __construct(
        private readonly string $logsDir,
        private readonly TranslatorInterface $translator,
    ) {
    }

    public function logAttempt(bool $success, string $username, string $ip): void
    {
        $folder = $this->logsDir.'/ids';
        if (!is_dir($folder)) {
            mkdir($folder, 0777, true);
        }
        $path = $folder.'/ids.log';
        $now = new \DateTimeImmutable();
        clearstatcache(true, $path);
        if (is_file($path) && !$this->isOf($now, $this->lastLine($path))) {
            self::rotate($path);
        }
        $info = $this->translator->trans('Info');
        $client = $this->translator->trans('Client');
        $sentence = $this->translator->trans('Login %status% for username %username%', [
            '%status%' => $this->translator->trans($success ? 'succeeded' : 'failed'),
            '%username%' => $username,
        ]);
        file_put_contents($path, \sprintf("[%s] [%s] [%s %s] %s\n", $now->format('Y-m-d H:i:s'), $info, $client, $ip, $sentence), \FILE_APPEND | \LOCK_EX);
    }

    private function lastLine(string $path): string
    {
        $file = new \SplFileObject($path, 'r');
        $file->seek(\PHP_INT_MAX);
        // On an empty file this is seek(-1): a ValueError.
        $file->seek($file->key() - 1);

        return (string) $file->current();
    }

    private function isOf(\DateTimeImmutable $day, string $line): bool
    {
        return 1 === preg_match('/\[(\d{4}-\d{2}-\d{2}) /', $line, $match) && $day->format('Y-m-d') === $match[1];
    }

    public static function rotate(string $path): void
    {
        for ($number = self::KEPT; $number > 0; --$number) {
            if (is_file($path.'.'.$number)) {
                rename($path.'.'.$number, $path.'.'.($number + 1));
            }
        }
        rename($path, $path.'.1');
        if (is_file($path.'.'.(self::KEPT + 1))) {
            unlink($path.'.'.(self::KEPT + 1));
        }
    }
}
