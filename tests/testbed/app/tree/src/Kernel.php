<?php

declare(strict_types=1);

namespace Chamilo;

use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\Config\Loader\LoaderInterface;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

class Kernel extends BaseKernel
{
    use MicroKernelTrait;

    public function getProjectDir(): string
    {
        return \dirname(__DIR__);
    }

    public function getLogDir(): string
    {
        return $this->getProjectDir().'/var/log';
    }

    private function configureContainer(ContainerConfigurator $container, LoaderInterface $loader, ContainerBuilder $builder): void
    {
        $config = $this->getProjectDir().'/config';
        $container->import($config.'/{packages}/*.{php,yaml}');
        $container->import($config.'/{packages}/'.$this->environment.'/**/*.{php,yaml}');
        $container->import($config.'/services.yaml');
    }

    private function configureRoutes(RoutingConfigurator $routes): void
    {
        $config = $this->getProjectDir().'/config';
        $routes->import($config.'/{routes}/'.$this->environment.'/*.yaml');
        $routes->import($config.'/routes.yaml');
    }
}
