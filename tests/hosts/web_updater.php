<?php

// Copyright (c) 2026, the chamilo.hardening maintainers
// GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Stands in for the web updater of Chamilo 3.0 (UpdateFileApplier, September 2026) once a release is unpacked: PHP's user
// lays its files over the program, after a copy of each that is replaced, and puts them back where one cannot be laid.

declare(strict_types=1);

$root = dirname(__DIR__, 3);
$staging = realpath($root.'/var/update/staging/'.basename((string) ($_GET['staging'] ?? '')));
$lock = $root.'/var/update/update.lock';

function answer(int $status, string $words): never
{
    http_response_code($status);
    exit($words);
}

function skipped(string $path): bool
{
    if (in_array($path, ['.env', '.env.local', 'UPDATE-METADATA.json'], true)) {
        return true;
    }

    return 1 === preg_match('#^(?:\.git|node_modules|vendor|var|public/courses|public/upload)(?:/|$)#', $path);
}

if (!$staging || !is_file($staging.'/APPLY-PLAN.json')) {
    answer(400, 'Staging directory is missing APPLY-PLAN.json.');
}
$release = is_file($staging.'/composer.json') ? $staging : $staging.'/chamilo';
$files = [];
foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator($release, FilesystemIterator::SKIP_DOTS)) as $item) {
    $path = substr($item->getPathname(), strlen($release) + 1);
    if (!$item->isFile() || skipped($path)) {
        continue;
    }
    $target = $root.'/'.$path;
    $above = dirname($target);
    while (!is_dir($above)) {
        $above = dirname($above);
    }
    if (is_link($target) || !is_writable(is_file($target) ? $target : $above)) {
        answer(409, 'Target file is not writable: '.$path);
    }
    $files[$path] = is_file($target);
}
if (!$handle = @fopen($lock, 'x')) {
    answer(409, 'Unable to acquire update lock. Another update may be in progress.');
}
$saved = sprintf('%s/var/update/backups/3.0.1-%s-%s/files', $root, gmdate('YmdHis'), bin2hex(random_bytes(4)));
foreach (array_keys(array_filter($files)) as $path) {
    @mkdir(dirname("$saved/$path"), 0775, true);
    copy("$root/$path", "$saved/$path");
}
$laid = [];
foreach ($files as $path => $there) {
    @mkdir(dirname("$root/$path"), 0775, true);
    if (!@copy("$release/$path", "$root/$path")) {
        foreach ($laid as $done) {
            $files[$done] ? copy("$saved/$done", "$root/$done") : unlink("$root/$done");
        }
        unlink($lock);
        answer(500, 'Unable to copy staged update file: '.$path);
    }
    $laid[] = $path;
}
file_put_contents($staging.'/APPLY-RESULT.json', json_encode(['success' => true, 'details' => ['files' => count($laid)]]));
unlink($lock);
answer(200, count($laid).' files applied');
