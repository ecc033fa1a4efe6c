<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Helpers;

use Doctrine\DBAL\Connection;
use Symfony\Component\HttpFoundation\File\UploadedFile;

/**
 * Files of courses and users: below var/upload/resource, out of the web server's reach.
 */
final class ResourceFileHelper
{
    private readonly string $folder;

    public function __construct(private readonly Connection $connection, string $projectDir)
    {
        $this->folder = $projectDir.'/var/upload/resource';
    }

    /**
     * @return array<string, mixed> the row
     */
    public function store(UploadedFile $file, int $creator): array
    {
        $title = $file->getClientOriginalName();
        $type = $file->getMimeType() ?? 'application/octet-stream';
        $size = $file->getSize();
        $unique = bin2hex(random_bytes(6)).'-'.preg_replace('/[^A-Za-z0-9._-]/', '_', $title);
        $path = substr($unique, 0, 2).'/'.substr($unique, 2, 2).'/'.$unique;
        $file->move($this->folder.'/'.\dirname($path), basename($path));
        $this->connection->insert('resource_file', [
            'title' => $title, 'original_name' => $title, 'path' => $path, 'mime_type' => $type,
            'size' => $size, 'creator_id' => $creator, 'created_at' => date('Y-m-d H:i:s'),
        ]);

        return $this->find((int) $this->connection->lastInsertId());
    }

    public function find(int $id): ?array
    {
        return $this->connection->fetchAssociative('SELECT * FROM resource_file WHERE id = ?', [$id]) ?: null;
    }

    public function pathOf(array $row): string
    {
        return $this->folder.'/'.$row['path'];
    }

    public function delete(array $row): void
    {
        unlink($this->pathOf($row));
        $this->connection->delete('resource_file', ['id' => $row['id']]);
    }
}
