<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\EventSubscriber;

use Chamilo\CoreBundle\Security\Upload\UploadFilenamePolicy;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpFoundation\File\UploadedFile;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\KernelEvents;

final class UploadedFileValidationSubscriber implements EventSubscriberInterface
{
    public function __construct(private readonly UploadFilenamePolicy $policy)
    {
    }

    public static function getSubscribedEvents(): array
    {
        return [KernelEvents::REQUEST => ['onRequest', 20]];
    }

    public function onRequest(RequestEvent $event): void
    {
        $request = $event->getRequest();
        if (!$event->isMainRequest() || $request->attributes->get('_legacy')) {
            return;
        }
        $files = $request->files->all();
        $refused = null;
        array_walk_recursive($files, function (mixed &$file) use (&$refused): void {
            if (!$file instanceof UploadedFile || !$file->isValid()) {
                return;
            }
            $name = $this->policy->filter($file->getClientOriginalName());
            if (null === $name) {
                $refused = $file->getClientOriginalName();
            } elseif ($name !== $file->getClientOriginalName()) {
                $file = new UploadedFile($file->getPathname(), $name, $file->getClientMimeType(), $file->getError());
            }
        });
        if (null !== $refused) {
            $event->setResponse(new JsonResponse(['error' => 'This type of file is not allowed: '.$refused], 400));

            return;
        }
        $request->files->replace($files);
    }
}
