<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Settings;

use Chamilo\CoreBundle\Helpers\AccessUrlHelper;
use Doctrine\DBAL\Connection;
use Symfony\Component\DependencyInjection\ParameterBag\ParameterBagInterface;
use Symfony\Component\HttpFoundation\RequestStack;

/**
 * Reads settings: override file, then (main portal, unless told to ask the database) the session, then the table.
 */
final class SettingsManager
{
    public function __construct(
        private readonly Connection $connection,
        private readonly AccessUrlHelper $urls,
        private readonly RequestStack $requests,
        private readonly ParameterBagInterface $parameters,
    ) {
    }

    public function getSetting(string $name, bool $loadFromDb = false): mixed
    {
        $url = $this->urls->getCurrentId();
        if (null !== $override = $this->getOverride($name, $url)) {
            return $override;
        }
        [$category, $variable] = explode('.', $name, 2) + [1 => ''];
        if ($loadFromDb || AccessUrlHelper::MAIN !== $url) {
            return $this->load($category, $url)[$variable] ?? '';
        }

        return $this->fromSession($url)[$category][$variable] ?? '';
    }

    public function getOverride(string $name, int $url): mixed
    {
        if (!$this->parameters->has('settings_overrides')) {
            return null;
        }
        $overrides = $this->parameters->get('settings_overrides');

        return $overrides[$url][$name] ?? $overrides['default'][$name] ?? null;
    }

    /**
     * The values of one category as the portal sees them, without the override file.
     *
     * @return array<string, string>
     */
    public function load(string $category, int $url): array
    {
        $rows = $this->connection->fetchAllAssociative(
            'SELECT variable, selected_value, access_url, access_url_changeable FROM settings WHERE category = ? AND access_url IN (1, ?) ORDER BY access_url, id',
            [$category, $url]
        );

        return $this->resolve(Schemas::DEFAULTS[$category] ?? [], $rows, $url);
    }

    /**
     * @return array<string, array<string, string>>
     */
    public function loadAll(int $url): array
    {
        $byCategory = [];
        $rows = $this->connection->fetchAllAssociative(
            'SELECT category, variable, selected_value, access_url, access_url_changeable FROM settings WHERE access_url IN (1, ?) ORDER BY access_url, id',
            [$url]
        );
        foreach ($rows as $row) {
            $byCategory[$row['category']][] = $row;
        }
        $all = [];
        foreach (Schemas::DEFAULTS as $category => $defaults) {
            $all[$category] = $this->resolve($defaults, $byCategory[$category] ?? [], $url);
        }

        return $all;
    }

    /**
     * What the administrator's form does on save.
     *
     * @param array<string, mixed> $values
     */
    public function save(string $category, array $values): void
    {
        $url = $this->urls->getCurrentId();
        foreach (array_intersect_key($values, Schemas::DEFAULTS[$category] ?? []) as $variable => $value) {
            $value = match (true) {
                \is_bool($value) => $value ? 'true' : 'false',
                \is_array($value) => implode(',', $value),
                default => (string) $value,
            };
            $where = ['variable' => $variable, 'category' => $category, 'access_url' => $url];
            $known = $this->connection->fetchOne('SELECT id FROM settings WHERE variable = ? AND category = ? AND access_url = ?', array_values($where));
            if (false === $known) {
                $this->connection->insert('settings', $where + ['selected_value' => $value, 'title' => $variable, 'scope' => '', 'access_url_changeable' => 1, 'access_url_locked' => 0]);
            } else {
                $this->connection->update('settings', ['selected_value' => $value, 'access_url_locked' => 0], $where);
            }
        }
        $request = $this->requests->getMainRequest();
        if ($request?->hasSession()) {
            $request->getSession()->remove('schemas');
        }
    }

    private function fromSession(int $url): array
    {
        $request = $this->requests->getMainRequest();
        if (!$request?->hasSession()) {
            return $this->loadAll($url);
        }
        $session = $request->getSession();
        if (!\is_array($session->get('schemas'))) {
            $session->set('schemas', $this->loadAll($url));
        }

        return $session->get('schemas');
    }

    /**
     * A row of another portal counts where the main row allows it, or where there is no main row. Unknown names are ignored.
     */
    private function resolve(array $defaults, array $rows, int $url): array
    {
        $values = $defaults;
        $changeable = [];
        foreach ($rows as $row) {
            $variable = $row['variable'];
            if (!\array_key_exists($variable, $defaults)) {
                continue;
            }
            if (AccessUrlHelper::MAIN === (int) $row['access_url']) {
                $values[$variable] = (string) $row['selected_value'];
                $changeable[$variable] = (bool) $row['access_url_changeable'];
            } elseif (AccessUrlHelper::MAIN !== $url && ($changeable[$variable] ?? true)) {
                $values[$variable] = (string) $row['selected_value'];
            }
        }

        return $values;
    }
}
