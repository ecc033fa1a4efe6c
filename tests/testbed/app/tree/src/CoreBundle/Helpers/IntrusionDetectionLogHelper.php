<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Helpers;

/**
 * Writes var/log/ids/ids_events.log: fields cleaned, an empty file is no problem.
 */
final class IntrusionDetectionLogHelper
{
    public function __construct(private readonly string $logsDir)
    {
    }

    public function logEvent(string $type, string $ip, string $uri, string $parameter, string $match): void
    {
        $folder = $this->logsDir.'/ids';
        if (!is_dir($folder)) {
            mkdir($folder, 0777, true);
        }
        $path = $folder.'/ids_events.log';
        clearstatcache(true, $path);
        if (is_file($path) && filesize($path) > 0 && date('Y-m-d', (int) filemtime($path)) !== date('Y-m-d')) {
            LoginAttemptLoggerHelper::rotate($path);
        }
        $line = \sprintf(
            "[%s] [%s] [IP %s] [URI %s] [PARAM %s] Detected %s pattern in param '%s': %s\n",
            date('Y-m-d H:i:s'), strtoupper($type), self::clean($ip), self::clean($uri), self::clean($parameter), $type, self::clean($parameter), addslashes(self::clean($match))
        );
        file_put_contents($path, $line, \FILE_APPEND | \LOCK_EX);
    }

    private static function clean(string $text): string
    {
        return mb_substr(str_replace(['[', ']'], ['(', ')'], preg_replace('/[\x00-\x1F\x7F]+/', ' ', $text)), 0, 500);
    }
}
