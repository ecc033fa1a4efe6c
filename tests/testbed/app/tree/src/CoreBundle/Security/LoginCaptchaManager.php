<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Security;

use Chamilo\CoreBundle\Settings\SettingsManager;
use Psr\Cache\CacheItemPoolInterface;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Session\SessionInterface;

/**
 * The code lies in the session, the count of mistakes in the cache, by user name.
 */
final class LoginCaptchaManager
{
    private const IN_SESSION = 'login_captcha.code';
    private const LETTERS = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';

    public function __construct(private readonly SettingsManager $settings, private readonly CacheItemPoolInterface $cacheApp)
    {
    }

    public function isEnabled(): bool
    {
        return 'true' === $this->settings->getSetting('security.allow_captcha', true);
    }

    public function newCode(SessionInterface $session): string
    {
        $code = '';
        for ($i = 0; $i < 5; ++$i) {
            $code .= self::LETTERS[random_int(0, \strlen(self::LETTERS) - 1)];
        }
        $session->set(self::IN_SESSION, $code);

        return $code;
    }

    /**
     * A code is good for one attempt.
     */
    public function isRight(Request $request, string $answer): bool
    {
        $code = (string) $request->getSession()->remove(self::IN_SESSION);

        return '' !== $code && hash_equals($code, strtoupper($answer));
    }

    public function blockedSeconds(string $username): int
    {
        return max(0, ($this->item($username)->get()['until'] ?? 0) - time());
    }

    public function addMistake(string $username): void
    {
        $item = $this->item($username);
        $mistakes = ($item->get()['mistakes'] ?? 0) + 1;
        $state = ['mistakes' => $mistakes, 'until' => 0];
        if ($mistakes >= $this->number('captcha_number_mistakes_to_block_account')) {
            $state = ['mistakes' => 0, 'until' => time() + 60 * $this->number('captcha_time_to_block')];
        }
        $this->cacheApp->save($item->set($state)->expiresAfter(86400));
    }

    public function forget(string $username): void
    {
        $this->cacheApp->deleteItem($this->key($username));
    }

    public function picture(string $code): string
    {
        $letters = '';
        foreach (str_split($code) as $place => $letter) {
            $letters .= \sprintf('<text x="%d" y="50" font-size="28">%s</text>', 24 + 34 * $place, $letter);
        }

        return '<svg xmlns="http://www.w3.org/2000/svg" width="220" height="80">'.$letters.'</svg>';
    }

    private function number(string $variable): int
    {
        return max(1, (int) $this->settings->getSetting('security.'.$variable, true));
    }

    private function item(string $username): \Psr\Cache\CacheItemInterface
    {
        return $this->cacheApp->getItem($this->key($username));
    }

    private function key(string $username): string
    {
        return 'login_captcha.'.sha1(mb_strtolower(trim($username)));
    }
}
