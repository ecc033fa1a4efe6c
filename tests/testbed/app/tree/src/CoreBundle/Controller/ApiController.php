<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Controller;

use Chamilo\CoreBundle\Entity\User;
use Chamilo\CoreBundle\Helpers\ResourceFileHelper;
use Doctrine\DBAL\Connection;
use Symfony\Bundle\FrameworkBundle\Controller\AbstractController;
use Symfony\Component\DependencyInjection\Attribute\Autowire;
use Symfony\Component\HttpFoundation\File\UploadedFile;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\Routing\Attribute\Route;

/**
 * A few operations of the API; all of them ask for a token.
 */
#[Route('/api')]
final class ApiController extends AbstractController
{
    public function __construct(private readonly Connection $connection)
    {
    }

    #[Route('/authentication_token', name: 'api_token', methods: ['POST'])]
    public function token(): Response
    {
        // json_login answers before this. It lets a request by whose Content-Type is not JSON.
        return $this->json(['code' => 400, 'message' => 'Send JSON.'], 400);
    }

    #[Route('', name: 'api_entrypoint', methods: ['GET'])]
    public function entrypoint(#[Autowire('%env(bool:APP_ENABLE_API_ENTRYPOINT)%')] bool $enabled): Response
    {
        return $enabled ? new Response('<!DOCTYPE html><title>API Platform</title><h1>API documentation</h1>') : throw $this->createNotFoundException();
    }

    #[Route('/me', name: 'api_me', methods: ['GET'])]
    public function me(): Response
    {
        return $this->json($this->describe($this->user()->getId()));
    }

    #[Route('/users', name: 'api_users', methods: ['GET'])]
    public function users(): Response
    {
        $this->denyAccessUnlessGranted('ROLE_ADMIN');

        return $this->json(['users' => $this->connection->fetchAllAssociative('SELECT id, username, email, active FROM user ORDER BY id')]);
    }

    #[Route('/users/{id}', name: 'api_user', requirements: ['id' => '\d+'], methods: ['GET'])]
    public function one(int $id): Response
    {
        if ($id !== $this->user()->getId()) {
            $this->denyAccessUnlessGranted('ROLE_ADMIN');
        }

        return $this->json($this->describe($id));
    }

    #[Route('/courses', name: 'api_courses', methods: ['GET'])]
    public function courses(): Response
    {
        return $this->json(['courses' => $this->connection->fetchAllAssociative('SELECT id, code, title FROM course ORDER BY id')]);
    }

    #[Route('/documents', name: 'api_documents', methods: ['POST'])]
    public function upload(Request $request, ResourceFileHelper $files): Response
    {
        $file = $request->files->get('uploadFile');
        if (!$file instanceof UploadedFile) {
            return $this->json(['code' => 400, 'message' => 'The field "uploadFile" holds no file.'], 400);
        }
        $row = $files->store($file, $this->user()->getId());

        return $this->json(['id' => (int) $row['id'], 'title' => $row['title'], 'url' => '/r/document/files/'.$row['id'].'/download'], 201);
    }

    private function describe(int $id): array
    {
        $row = $this->connection->fetchAssociative('SELECT id, username, email, firstname, lastname, active FROM user WHERE id = ?', [$id]);

        return $row ?: throw $this->createNotFoundException();
    }

    private function user(): User
    {
        $user = $this->getUser();
        \assert($user instanceof User);

        return $user;
    }
}
