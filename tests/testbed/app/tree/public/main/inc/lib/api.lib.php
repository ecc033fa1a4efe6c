<?php

use Chamilo\CoreBundle\Entity\User;
use Chamilo\CoreBundle\Settings\SettingsManager;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\HttpFoundation\Request;

final class Container
{
    public static ContainerInterface $container;
    public static Request $request;
}

function api_get_setting(string $name): mixed
{
    return Container::$container->get(SettingsManager::class)->getSetting($name);
}

function api_get_user(): ?User
{
    $user = Container::$container->get('legacy.token_storage')->getToken()?->getUser();

    return $user instanceof User ? $user : null;
}

function api_is_platform_admin(): bool
{
    return in_array('ROLE_ADMIN', api_get_user()?->getRoles() ?? [], true);
}

function api_not_allowed(): never
{
    http_response_code(403);
    (new Template('Not allowed'))->display('<p>You are not allowed to see this page.</p>');
    exit;
}

function api_block_anonymous_users(): void
{
    if (null === api_get_user()) {
        header('Location: /login?redirect='.rawurlencode($_SERVER['REQUEST_URI']), true, 302);
        exit;
    }
}

function api_protect_admin_script(): void
{
    api_block_anonymous_users();
    if (!api_is_platform_admin()) {
        api_not_allowed();
    }
}
