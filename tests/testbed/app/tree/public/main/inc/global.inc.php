<?php

// Boots the kernel for a script that runs without index.php, and finds who is logged in.
use Chamilo\Kernel;
use Symfony\Component\Dotenv\Dotenv;
use Symfony\Component\ErrorHandler\Debug;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\HttpKernelInterface;
use Symfony\Component\HttpKernel\KernelEvents;

require_once __DIR__.'/../../../vendor/autoload.php';
require_once __DIR__.'/lib/api.lib.php';
require_once __DIR__.'/lib/template.lib.php';

(new Dotenv())->bootEnv(dirname(__DIR__, 3).'/.env');
if ($_SERVER['APP_DEBUG']) {
    umask(0000);
    Debug::enable();
}

$kernel = new Kernel($_SERVER['APP_ENV'], (bool) $_SERVER['APP_DEBUG']);
$kernel->boot();
$request = Request::createFromGlobals();
$container = $kernel->getContainer();
$container->get('request_stack')->push($request);
// The firewall and the upload filter look at the request as they do in index.php; the router is not asked.
$request->attributes->set('_controller', 'legacy');
$request->attributes->set('_legacy', true);
$event = new RequestEvent($container->get('http_kernel'), $request, HttpKernelInterface::MAIN_REQUEST);
$container->get('event_dispatcher')->dispatch($event, KernelEvents::REQUEST);
if ($event->hasResponse()) {
    $event->getResponse()->prepare($request)->send();
    exit;
}
Container::$container = $container;
Container::$request = $request;
register_shutdown_function(static fn () => $request->hasSession() && $request->getSession()->isStarted() && $request->getSession()->save());
