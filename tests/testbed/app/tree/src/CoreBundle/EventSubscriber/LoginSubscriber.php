<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\EventSubscriber;

use Chamilo\CoreBundle\Entity\User;
use Chamilo\CoreBundle\Helpers\LoginAttemptLoggerHelper;
use Chamilo\CoreBundle\Security\JwtAuthenticator;
use Chamilo\CoreBundle\Security\RememberMeAuthenticator;
use Chamilo\CoreBundle\Settings\SettingsManager;
use Doctrine\DBAL\Connection;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\Security\Http\Authenticator\Passport\Badge\UserBadge;
use Symfony\Component\Security\Http\Event\LoginFailureEvent;
use Symfony\Component\Security\Http\Event\LoginSuccessEvent;

/**
 * Records every attempt in the table and in ids.log, on any firewall, and switches an account off after too many failures.
 */
final class LoginSubscriber implements EventSubscriberInterface
{
    private const LOCK_WINDOW = 900; // seconds; how long the real one counts is not known

    public function __construct(
        private readonly Connection $connection,
        private readonly SettingsManager $settings,
        private readonly LoginAttemptLoggerHelper $log,
    ) {
    }

    public static function getSubscribedEvents(): array
    {
        return [LoginFailureEvent::class => ['onFailure', 10], LoginSuccessEvent::class => ['onSuccess', 10]];
    }

    public function onFailure(LoginFailureEvent $event): void
    {
        if (!$event->getPassport()?->hasBadge(UserBadge::class)) {
            return;
        }
        $username = $event->getPassport()->getBadge(UserBadge::class)->getUserIdentifier();
        $ip = $event->getRequest()->getClientIp() ?? 'unknown';
        $this->record($username, $ip, false);
        $this->log->logAttempt(false, $username, $ip);

        $limit = (int) $this->settings->getSetting('security.login_max_attempt_before_blocking_account', true);
        if ($limit > 0 && $this->recentFailures($username) >= $limit) {
            $this->connection->executeStatement('UPDATE user SET active = 0 WHERE username = ? AND active = 1', [$username]);
        }
    }

    public function onSuccess(LoginSuccessEvent $event): void
    {
        $user = $event->getUser();
        $authenticator = $event->getAuthenticator();
        if ($authenticator instanceof JwtAuthenticator || $authenticator instanceof RememberMeAuthenticator || !$user instanceof User) {
            return;
        }
        $ip = $event->getRequest()->getClientIp() ?? 'unknown';
        $this->record($user->getUserIdentifier(), $ip, true);
        $this->log->logAttempt(true, $user->getUserIdentifier(), $ip);
        $this->connection->executeStatement('UPDATE user SET last_login = NOW() WHERE id = ?', [$user->getId()]);
        $this->connection->insert('track_e_login', ['login_user_id' => $user->getId(), 'login_date' => date('Y-m-d H:i:s'), 'user_ip' => $ip]);
    }

    private function record(string $username, string $ip, bool $success): void
    {
        $this->connection->insert('track_e_login_record', [
            'username' => $username, 'login_date' => date('Y-m-d H:i:s'), 'user_ip' => $ip, 'success' => (int) $success,
        ]);
    }

    /**
     * Failures since the last success, inside the window.
     */
    private function recentFailures(string $username): int
    {
        return (int) $this->connection->fetchOne(
            'SELECT COUNT(*) FROM track_e_login_record WHERE username = :name AND success = 0 AND login_date >= :since
             AND id > (SELECT COALESCE(MAX(id), 0) FROM track_e_login_record WHERE username = :name AND success = 1)',
            ['name' => $username, 'since' => date('Y-m-d H:i:s', time() - self::LOCK_WINDOW)]
        );
    }
}
