<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Controller;

use Chamilo\CoreBundle\Entity\User;
use Chamilo\CoreBundle\Helpers\ResourceFileHelper;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\HttpFoundation\BinaryFileResponse;
use Symfony\Component\HttpFoundation\File\UploadedFile;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpFoundation\ResponseHeaderBag;
use Symfony\Component\Routing\Attribute\Route;

final class DocumentController extends AbstractController
{
    public function __construct(private readonly ResourceFileHelper $files)
    {
    }

    #[Route('/documents/upload', name: 'document_upload', methods: ['POST'])]
    public function upload(Request $request): Response
    {
        $user = $this->getUser();
        \assert($user instanceof User);
        $file = $request->files->get('uploadFile');
        if (!$file instanceof UploadedFile || !$file->isValid()) {
            return $this->json(['error' => 'The field "uploadFile" holds no file.'], 400);
        }
        $row = $this->files->store($file, $user->getId());

        return $this->json(['id' => (int) $row['id'], 'title' => $row['title'], 'url' => '/r/document/files/'.$row['id'].'/download'], 201);
    }

    #[Route('/documents/{id}', name: 'document_delete', requirements: ['id' => '\d+'], methods: ['DELETE'])]
    public function delete(int $id): Response
    {
        $row = $this->files->find($id) ?? throw $this->createNotFoundException();
        if (!$this->isGranted('ROLE_ADMIN') && (int) $row['creator_id'] !== $this->getUser()->getId()) {
            throw $this->createAccessDeniedException();
        }
        $this->files->delete($row);

        return new Response('', 204);
    }

    #[Route('/r/document/files/{id}/{mode}', name: 'document_file', requirements: ['id' => '\d+', 'mode' => 'view|download'], methods: ['GET', 'HEAD'])]
    public function send(int $id, string $mode): Response
    {
        $row = $this->files->find($id) ?? throw $this->createNotFoundException();
        $response = new BinaryFileResponse($this->files->pathOf($row), 200, ['Content-Type' => $row['mime_type']], false);
        $response->setContentDisposition(
            'view' === $mode ? ResponseHeaderBag::DISPOSITION_INLINE : ResponseHeaderBag::DISPOSITION_ATTACHMENT,
            str_replace(['/', '\\'], '-', $row['title']),
            preg_replace('/[^\x20-\x7E]|[%\/\\\\]/', '_', $row['title'])
        );

        return $response;
    }

    /**
     * The editor of the single-page application: inline script and style, new Function, as rich text editors need.
     */
    #[Route('/editor', name: 'editor', methods: ['GET'])]
    public function editor(): Response
    {
        return $this->render('editor.html.twig');
    }
}
