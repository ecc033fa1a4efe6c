<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Command;

use Standin\JwtManager;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

#[AsCommand('lexik:jwt:generate-keypair', 'Generate public/private keys for use in your application.')]
final class GenerateKeyPairCommand extends Command
{
    public function __construct(private readonly JwtManager $tokens)
    {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this->addOption('overwrite')->addOption('skip-if-exists');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        if ($this->tokens->writeKeyPair((bool) $input->getOption('overwrite'))) {
            $output->writeln('Done!');

            return Command::SUCCESS;
        }
        $output->writeln('Your keys already exist. Use the `--overwrite` option to force regeneration.');

        return $input->getOption('skip-if-exists') ? Command::SUCCESS : Command::FAILURE;
    }
}
