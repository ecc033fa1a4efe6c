<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Helpers;

use Symfony\Component\DependencyInjection\Attribute\Autowire;

/**
 * Hashes and modes of all regular files, but below a directory var or .git at any depth.
 */
final class FileIntegrityChecker
{
    private string $state;

    public function __construct(#[Autowire('%kernel.project_dir%')] private readonly string $root, private readonly string $logsDir)
    {
        $this->state = $root.'/var/security/file_integrity';
    }

    public function baseline(): int
    {
        $files = $this->files();
        $this->write('baseline.json', ['createdAt' => time(), 'files' => $files]);
        $this->write('state.json', ['snoozedUntil' => null]);

        return \count($files);
    }

    /**
     * @return list<string>|null what differs; null where there was nothing to compare with
     */
    public function scan(): ?array
    {
        $known = $this->read('baseline.json')['files'] ?? null;
        $snoozed = ($this->read('state.json')['snoozedUntil'] ?? 0) > time();
        if (null === $known || $snoozed) {
            $this->baseline();

            return null;
        }
        $found = [];
        $files = $this->files();
        foreach ($files + $known as $path => $_line) {
            [$before, $now] = [$known[$path] ?? null, $files[$path] ?? null];
            if ($before === $now) {
                continue;
            }
            $kind = match (true) {
                null === $before => 'ADDED',
                null === $now => 'DELETED',
                $before[0] !== $now[0] => 'MODIFIED',
                default => 'PERMS',
            };
            $found[] = "FIM-$kind $path";
        }
        $this->write('last_report.json', ['at' => time(), 'found' => $found]);
        foreach ($found as $line) {
            [$kind, $path] = explode(' ', $line, 2);
            @mkdir($this->logsDir.'/security', 0777, true);
            file_put_contents($this->logsDir.'/security/file_integrity.log', "CEF:0|Chamilo|Chamilo LMS|n/a|$kind|File integrity|6|filePath=$path rt=".(time() * 1000)."\n", \FILE_APPEND);
        }

        return $found;
    }

    private function files(string $folder = ''): array
    {
        $found = [];
        foreach (scandir($this->root.$folder) as $name) {
            $path = $folder.'/'.$name;
            if (\in_array($name, ['.', '..', 'var', '.git'], true) || is_link($this->root.$path)) {
                continue;
            }
            if (is_dir($this->root.$path)) {
                $found += $this->files($path);
            } elseif (is_readable($this->root.$path)) {
                $found[$path] = [hash_file('sha256', $this->root.$path), sprintf('%03o', fileperms($this->root.$path) & 0777)];
            }
        }

        return $found;
    }

    private function read(string $name): array
    {
        $path = $this->state.'/'.$name;

        return is_file($path) ? (array) json_decode((string) file_get_contents($path), true) : [];
    }

    private function write(string $name, array $value): void
    {
        if (!is_dir($this->state)) {
            mkdir($this->state, 0755, true);
        }
        file_put_contents($this->state.'/'.$name, json_encode($value));
    }
}
