<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Controller;

use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\BinaryFileResponse;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Routing\Attribute\Route;

/**
 * Files that look static and are not: they lie below var/.
 */
final class FileController extends AbstractController
{
    private const TYPES = ['css' => 'text/css', 'js' => 'application/javascript', 'svg' => 'image/svg+xml', 'html' => 'text/html', 'xml' => 'application/xml', 'png' => 'image/png'];

    public function __construct(private readonly string $projectDir)
    {
    }

    #[Route('/themes/{theme}/{path}', name: 'theme_asset', requirements: ['theme' => '[\w-]+', 'path' => '.+'], methods: ['GET', 'HEAD'])]
    public function theme(string $theme, string $path): Response
    {
        return $this->send($this->projectDir.'/var/themes/'.$theme, $path);
    }

    #[Route('/assets/{folder}/{path}', name: 'asset', requirements: ['folder' => '[\w-]+', 'path' => '.+'], methods: ['GET', 'HEAD'])]
    public function asset(string $folder, string $path): Response
    {
        return $this->send($this->projectDir.'/var/upload/assets/'.$folder, $path);
    }

    private function send(string $folder, string $path): Response
    {
        $root = realpath($folder);
        $file = false === $root ? false : realpath($root.'/'.$path);
        if (false === $file || !str_starts_with($file, $root.'/') || !is_file($file)) {
            throw $this->createNotFoundException('No such file.');
        }
        $response = new BinaryFileResponse($file, 200, [], true, null, true);
        $type = self::TYPES[strtolower(pathinfo($file, \PATHINFO_EXTENSION))] ?? null;
        if (null !== $type) {
            $response->headers->set('Content-Type', $type);
        }

        return $response;
    }
}
