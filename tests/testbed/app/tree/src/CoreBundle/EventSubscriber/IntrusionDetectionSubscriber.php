<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\EventSubscriber;

use Chamilo\CoreBundle\Helpers\IntrusionDetectionLogHelper;
use Symfony\Component\DependencyInjection\Attribute\Autowire;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\Event\ResponseEvent;
use Symfony\Component\HttpKernel\KernelEvents;

/**
 * Looks at address, query values, user agent and referer (never at bodies); puts security headers on answers when told to.
 */
final class IntrusionDetectionSubscriber implements EventSubscriberInterface
{
    private const IN_URI = [
        'PathTraversal' => '#(\.\./){2,}|%2e%2e(%2f|/)|%252e%252e#i',
        'Scanner' => '#/\.git/(config|HEAD)|/\.env(\.\w+)?($|\?)|/(wp-login\.php|wp-admin|xmlrpc\.php|phpmyadmin)\b|/\.ht(access|passwd)\b|/etc/(passwd|shadow)\b#i',
    ];
    private const IN_VALUES = [
        'SQLi' => '#UNION\s+(ALL\s+)?SELECT\s|\'\s*(OR|AND)\s+\'?\d|\b(SLEEP|BENCHMARK)\s*\(\s*\d|\bINFORMATION_SCHEMA\b#i',
        'XSS' => '#<script[^>]*>|javascript\s*:|\bon(click|load|error|mouseover)\s*=|<(iframe|object|embed)\b#i',
        'PathTraversal' => '#(\.\./){2,}|/etc/(passwd|shadow|hosts)\b#i',
        'CmdInjection' => '#`[^`]{1,120}`|\$\([^)]{1,120}\)|[;&|]{1,2}\s*(cat|id|whoami|wget|curl|bash|sh|nc)\b#i',
    ];
    private const IN_AGENT = ['Scanner' => '#sqlmap|nikto|nessus|acunetix|dirbuster|gobuster|ffuf|wfuzz|nmap|masscan|openvas|burp#i'];
    private const IN_REFERER = ['XSS' => '#<script[^>]*>|javascript\s*:#i', 'SQLi' => '#UNION\s+(ALL\s+)?SELECT\s#i'];
    private const NOT_LOOKED_AT = '#^/(_(profiler|wdt)|build/|bundles/)|\.(css|js|map|png|jpe?g|gif|svg|ico|woff2?|pdf)$#i';

    private const HEADERS = [
        'X-Frame-Options' => 'SAMEORIGIN',
        'X-Content-Type-Options' => 'nosniff',
        'Referrer-Policy' => 'strict-origin-when-cross-origin',
        'Permissions-Policy' => 'camera=(), microphone=(), geolocation=(), payment=()',
    ];

    public function __construct(
        #[Autowire(param: 'chamilo.ids.enabled')]
        private readonly bool $enabled,
        #[Autowire(param: 'chamilo.ids.block_on_detection')]
        private readonly bool $block,
        #[Autowire(param: 'chamilo.ids.security_headers')]
        private readonly bool $headers,
        private readonly IntrusionDetectionLogHelper $log,
    ) {
    }

    public static function getSubscribedEvents(): array
    {
        return [KernelEvents::REQUEST => ['onRequest', 32], KernelEvents::RESPONSE => ['onResponse', 0]];
    }

    public function onRequest(RequestEvent $event): void
    {
        $request = $event->getRequest();
        if (!$this->enabled || !$event->isMainRequest() || preg_match(self::NOT_LOOKED_AT, $request->getPathInfo())) {
            return;
        }
        $looks = [['uri', $request->getRequestUri(), self::IN_URI]];
        foreach ($request->query->all() as $name => $value) {
            if (\is_string($value)) {
                $looks[] = [(string) $name, $value, self::IN_VALUES];
            }
        }
        $looks[] = ['User-Agent', (string) $request->headers->get('User-Agent'), self::IN_AGENT];
        $looks[] = ['Referer', (string) $request->headers->get('Referer'), self::IN_REFERER];
        foreach ($looks as [$name, $text, $patterns]) {
            foreach ($patterns as $type => $pattern) {
                if (!preg_match($pattern, $text, $match)) {
                    continue;
                }
                $this->log->logEvent($type, $request->getClientIp() ?? 'unknown', $request->getRequestUri(), $name, mb_substr($match[0], 0, 100));
                if ($this->block) {
                    $event->setResponse(new Response('Bad Request', 400));

                    return;
                }
                break;
            }
        }
    }

    public function onResponse(ResponseEvent $event): void
    {
        if (!$this->headers || !$event->isMainRequest()) {
            return;
        }
        foreach (self::HEADERS as $name => $value) {
            if (!$event->getResponse()->headers->has($name)) {
                $event->getResponse()->headers->set($name, $value);
            }
        }
    }
}
