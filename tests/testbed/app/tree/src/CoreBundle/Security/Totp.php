<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Security;

/**
 * Time codes of the second factor. The secret lies in the database encrypted with a key made from APP_SECRET.
 */
final class Totp
{
    public function __construct(private readonly string $appSecret)
    {
    }

    public function seal(string $secret): string
    {
        $nonce = random_bytes(\SODIUM_CRYPTO_SECRETBOX_NONCEBYTES);

        return base64_encode($nonce.sodium_crypto_secretbox($secret, $nonce, $this->key()));
    }

    public function open(string $sealed): ?string
    {
        $bytes = base64_decode($sealed, true);
        $size = \SODIUM_CRYPTO_SECRETBOX_NONCEBYTES;
        if (false === $bytes || \strlen($bytes) <= $size) {
            return null;
        }
        $secret = sodium_crypto_secretbox_open(substr($bytes, $size), substr($bytes, 0, $size), $this->key());

        return false === $secret ? null : $secret;
    }

    public static function code(string $secret, int $time): string
    {
        $hash = hash_hmac('sha1', pack('J', intdiv($time, 30)), $secret, true);
        $number = unpack('N', substr($hash, \ord($hash[19]) & 15, 4))[1] & 0x7FFFFFFF;

        return str_pad((string) ($number % 1_000_000), 6, '0', \STR_PAD_LEFT);
    }

    public function isRight(string $sealed, string $code): bool
    {
        $secret = $this->open($sealed);
        if (null === $secret) {
            return false;
        }
        foreach ([0, -30, 30] as $shift) {
            if (hash_equals(self::code($secret, time() + $shift), $code)) {
                return true;
            }
        }

        return false;
    }

    private function key(): string
    {
        return hash('sha256', $this->appSecret, true);
    }
}
